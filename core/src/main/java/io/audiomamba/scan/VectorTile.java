package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/**
 * The scratch memory of one task, and the steps that forward and backward pass share. A task works through the scan of
 * one image for a block of channels, direction after direction, in tiles of {@value #TOKENS} tokens; and through a tile
 * in strips of {@value #STRIP} channels, so that all planes of a strip, (token, channel of the strip), stay in the
 * first-level cache. Each step is a loop along the tokens for one vector of channels.
 */
final class VectorTile {

    /** Tokens of a tile: few enough for the cache, many enough to make up for the call of each step. */
    static final int TOKENS = 32;
    /**
     * Channels of a strip: those of one line of the cache. A token's line is then read once, although the lines of a
     * column's tokens often compete for the same place in the cache.
     */
    static final int STRIP = 16;
    /** Floats of a plane: of a strip a value for each token, and one for the state before the first. */
    static final int PLANE = (TOKENS + 1) * STRIP;
    /** Planes of the current strip: u, the step size dt, exp(-|dt before softplus|), and dt u. */
    static final int U = 0;
    static final int DT = PLANE;
    static final int Z = 2 * PLANE;
    static final int DT_U = 3 * PLANE;
    /** Where the planes of a pass begin. */
    static final int OWN = 4 * PLANE;
    /** The widest block, in strips; narrower ones serve few channels. */
    private static final int MOST_STRIPS = 3;
    /** Tokens whose step sizes are computed at once, to have independent sums. */
    private static final int UNROLLED = 8;

    /**
     * A step of the work on the strip that begins at channel {@code strip} of the block. It is called through this
     * interface so that each step is compiled by itself: the JIT compiler does not inline a call that has met more than
     * two implementations, whereas steps inlined into one another exceed what it can take, and then it boxes vectors.
     */
    interface Step {
        void run(int strip);
    }

    final VectorOperands in;
    final int image;
    final int firstChannel;
    /** Channels of this block. */
    final int channels;
    /** Those, padded to whole strips. */
    final int width;

    /** Parameters of this block for the current direction. */
    final float[] weight;
    final float[] bias;
    final float[] skip;
    final float[] a;
    /** A log2(e): exp(dt A) is 2^(dt rate). */
    final float[] rate;

    /**
     * What x_proj read off the tokens of the tile, (value, token): at a constant distance from one token to the next the
     * JIT compiler checks bounds once a loop.
     */
    final float[] projected;
    private final float[] row;
    /** Of each token of the tile: its place in the grid, and the index of this block's first channel in the tokens. */
    final int[] positions = new int[TOKENS];
    private final long[] places = new long[TOKENS];

    /**
     * What the steps work on, plane after plane: one array, since for each of several a loop would need a register and
     * checks of its bounds.
     */
    final float[] scratch;

    int direction;
    /** Time of the tile's first token. */
    int start;
    /** Tokens of the current tile: fewer than {@link #TOKENS} at the end. */
    int tokens;

    /** @param own floats of scratch memory that the pass needs for itself */
    VectorTile(VectorOperands in, int task, int own) {
        this.in = in;
        scratch = new float[OWN + own];
        int blocks = blocks(in.channels);
        int block = task % blocks;
        int size = VectorMath.padded((in.channels + blocks - 1) / blocks, STRIP);
        image = task / blocks;
        firstChannel = Math.min(block * size, in.channels);
        channels = Math.min(size, in.channels - firstChannel);
        width = VectorMath.padded(channels, STRIP);
        weight = new float[in.rank * width];
        bias = new float[width];
        skip = new float[width];
        a = new float[in.state * width];
        rate = new float[in.state * width];
        projected = new float[in.row * TOKENS];
        row = new float[in.row];
    }

    /** Blocks that {@code channels} are cut into, whatever the number of threads: an even number, for two to share. */
    static int blocks(int channels) {
        int blocks = (channels + MOST_STRIPS * STRIP - 1) / (MOST_STRIPS * STRIP);
        return channels <= STRIP ? 1 : blocks + blocks % 2;
    }

    /** The number of tasks of a scan. */
    static int tasks(VectorOperands in) {
        return in.batch * blocks(in.channels);
    }

    private static int tiles(VectorOperands in) {
        return (in.length + TOKENS - 1) / TOKENS;
    }

    /** Shape of the states at the beginning of every tile, which the forward pass keeps for the backward pass. */
    static long[] statesShape(VectorOperands in) {
        return new long[] {in.batch, DIRECTIONS, tiles(in), in.state, in.channels};
    }

    /** Index among those of this block's first channel, for state {@code n}. */
    private long stateIndex(int n) {
        return ((((long) image * DIRECTIONS + direction) * tiles(in) + start / TOKENS) * in.state + n) * in.channels
                + firstChannel;
    }

    /** Takes the parameters of direction {@code k}. */
    void startDirection(int k) {
        direction = k;
        int first = k * in.channels + firstChannel;
        System.arraycopy(in.dtBias, first, bias, 0, channels);
        System.arraycopy(in.skip, first, skip, 0, channels);
        transpose(in.dtWeight, first, in.rank, weight);
        transpose(in.a, first, in.state, a);
        for (int i = 0; i < a.length; i++) {
            rate[i] = a[i] * VectorMath.LOG2_E;
        }
    }

    /** (channel, n) of this block to (n, channel). */
    private void transpose(float[] from, int first, int n, float[] to) {
        for (int c = 0; c < channels; c++) {
            for (int i = 0; i < n; i++) {
                to[i * width + c] = from[(first + c) * n + i];
            }
        }
    }

    /** Goes to the tile of the times {@code start}, ... of the current direction. */
    void startTile(int start) {
        this.start = start;
        tokens = Math.min(TOKENS, in.length - start);
        for (int t = 0; t < tokens; t++) {
            int position = in.position(direction, start + t);
            positions[t] = position;
            places[t] = in.tokenIndex(image, position) + firstChannel;
            VectorOperands.read(in.projections, in.projectionIndex(image, position, direction), row, 0, in.row);
            for (int i = 0; i < in.row; i++) {
                projected[i * TOKENS + t] = row[i];
            }
        }
    }

    /** Reads u of a strip and computes its step sizes. */
    List<Step> loading() {
        return List.of(strip -> read(in.tokens, strip, U), this::projectStepSizes,
                _ -> VectorMath.expOfMinusAbs(scratch, DT, Z, tokens * STRIP),
                _ -> VectorMath.softplus(scratch, DT, Z, U, DT_U, tokens * STRIP));
    }

    /** W_dt x + b. */
    private void projectStepSizes(int strip) {
        for (int c = 0; c < STRIP; c += LANES) {
            for (int t = 0; t < tokens; t += UNROLLED) {
                project(weight, width, in.rank, bias, strip + c, projected, t, scratch, DT + t * STRIP + c);
            }
        }
    }

    /** Channels of a strip that exist; the others fill it up. */
    private int channelsOf(int strip) {
        return Math.min(STRIP, channels - strip);
    }

    /** Reads a strip of what lies in memory like the tokens; channels that do not exist are zero, for sums over channels. */
    void read(MemorySegment from, int strip, int plane) {
        int count = channelsOf(strip);
        if (count == STRIP) {
            VectorOperands.readStrip(from, places, strip, scratch, plane, tokens);
        } else {
            for (int t = 0; t < tokens; t++) {
                int at = plane + t * STRIP;
                VectorOperands.read(from, places[t] + strip, scratch, at, count);
                Arrays.fill(scratch, at + count, at + STRIP, 0);
            }
        }
    }

    /** Writes a strip of what lies in memory like the tokens: the first direction; the others add to what is there. */
    void write(int plane, int strip, MemorySegment to) {
        int count = channelsOf(strip);
        boolean adding = direction > 0;
        if (count == STRIP) {
            if (adding) {
                VectorOperands.addStrip(scratch, plane, to, places, strip, tokens);
            } else {
                VectorOperands.writeStrip(scratch, plane, to, places, strip, tokens);
            }
            return;
        }
        for (int t = 0; t < tokens; t++) {
            if (adding) {
                VectorOperands.add(scratch, plane + t * STRIP, to, places[t] + strip, count);
            } else {
                VectorOperands.write(scratch, plane + t * STRIP, to, places[t] + strip, count);
            }
        }
    }

    /** Keeps the states of this tile's beginning. */
    void keepStates(float[] state, MemorySegment kept) {
        for (int n = 0; n < in.state; n++) {
            VectorOperands.write(state, n * width, kept, stateIndex(n), channels);
        }
    }

    /** Reads them again: all at once, for the processor to wait for all of this memory together. */
    void readStates(MemorySegment kept, float[] state) {
        for (int n = 0; n < in.state; n++) {
            VectorOperands.read(kept, stateIndex(n), state, n * width, channels);
        }
    }

    /** W_dt x + b for one vector of channels and {@link #UNROLLED} tokens. */
    private static void project(float[] weight, int width, int rank, float[] bias, int channel, float[] projected,
            int t,
            float[] out, int at) {
        FloatVector sum0 = FloatVector.fromArray(SPECIES, bias, channel);
        FloatVector sum1 = sum0;
        FloatVector sum2 = sum0;
        FloatVector sum3 = sum0;
        FloatVector sum4 = sum0;
        FloatVector sum5 = sum0;
        FloatVector sum6 = sum0;
        FloatVector sum7 = sum0;
        for (int r = 0; r < rank; r++) {
            FloatVector w = FloatVector.fromArray(SPECIES, weight, r * width + channel);
            int x = r * TOKENS + t;
            sum0 = w.fma(FloatVector.broadcast(SPECIES, projected[x]), sum0);
            sum1 = w.fma(FloatVector.broadcast(SPECIES, projected[x + 1]), sum1);
            sum2 = w.fma(FloatVector.broadcast(SPECIES, projected[x + 2]), sum2);
            sum3 = w.fma(FloatVector.broadcast(SPECIES, projected[x + 3]), sum3);
            sum4 = w.fma(FloatVector.broadcast(SPECIES, projected[x + 4]), sum4);
            sum5 = w.fma(FloatVector.broadcast(SPECIES, projected[x + 5]), sum5);
            sum6 = w.fma(FloatVector.broadcast(SPECIES, projected[x + 6]), sum6);
            sum7 = w.fma(FloatVector.broadcast(SPECIES, projected[x + 7]), sum7);
        }
        sum0.intoArray(out, at);
        sum1.intoArray(out, at + STRIP);
        sum2.intoArray(out, at + 2 * STRIP);
        sum3.intoArray(out, at + 3 * STRIP);
        sum4.intoArray(out, at + 4 * STRIP);
        sum5.intoArray(out, at + 5 * STRIP);
        sum6.intoArray(out, at + 6 * STRIP);
        sum7.intoArray(out, at + 7 * STRIP);
    }
}

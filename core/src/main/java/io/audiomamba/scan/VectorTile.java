package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;

import java.lang.foreign.MemorySegment;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/**
 * The scratch memory of one task, and the steps that forward and backward pass share. A task works through the scan of
 * one image for a block of channels, direction after direction, in tiles of {@value #TOKENS} tokens; and through a tile
 * in strips of {@value #STRIP} channels, so that all arrays of a strip, (token, channel of the strip), stay in the
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
    /** The widest block, in strips; narrower ones serve few channels. */
    private static final int MOST_STRIPS = 3;
    /** Components of the low-rank step size that a step handles at once: VMamba's ranks are 3 or 6 times 2^n. */
    static final int UNROLLED = 3;

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

    /** Of each token of the tile: its projections, and the index of this block's first channel in the tokens. */
    final float[] rows;
    final int[] positions = new int[TOKENS];
    private final long[] places = new long[TOKENS];

    /** Of the current strip: u, the step size dt, exp(-|dt before softplus|), dt u, and exp(dt A) for one state. */
    final float[] u = new float[TOKENS * STRIP];
    final float[] dt = new float[TOKENS * STRIP];
    final float[] z = new float[TOKENS * STRIP];
    final float[] dtU = new float[TOKENS * STRIP];
    final float[] decay = new float[TOKENS * STRIP];

    int direction;
    /** Time of the tile's first token. */
    int start;
    /** Tokens of the current tile: fewer than {@link #TOKENS} at the end. */
    int tokens;

    VectorTile(VectorOperands in, int task) {
        this.in = in;
        int blocks = blocks(in.channels);
        int block = task % blocks;
        int size = VectorMath.padded((in.channels + blocks - 1) / blocks, STRIP);
        image = task / blocks;
        firstChannel = Math.min(block * size, in.channels);
        channels = Math.min(size, in.channels - firstChannel);
        width = VectorMath.padded(channels, STRIP);
        weight = new float[VectorMath.padded(in.rank, UNROLLED) * width];
        bias = new float[width];
        skip = new float[width];
        a = new float[in.state * width];
        rate = new float[in.state * width];
        rows = new float[TOKENS * in.row + UNROLLED];
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
    long stateIndex(int n) {
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
            VectorOperands.read(in.projections, in.projectionIndex(image, position, direction), rows, t * in.row,
                    in.row);
        }
    }

    /** Reads u of a strip and computes its step sizes. */
    List<Step> loading() {
        return List.of(strip -> read(in.tokens, strip, u), this::projectStepSizes,
                _ -> VectorMath.expOfMinusAbs(dt, z, tokens * STRIP),
                _ -> VectorMath.softplus(dt, z, u, dtU, tokens * STRIP));
    }

    /** W_dt x + b. */
    private void projectStepSizes(int strip) {
        for (int c = 0; c < STRIP; c += LANES) {
            fill(bias, strip + c, tokens, dt, c);
            for (int r = 0; r < in.rank; r += UNROLLED) {
                project(weight, r * width + strip + c, width, rows, r, in.row, tokens, dt, c);
            }
        }
    }

    /** {@link #decay} for state {@code n}. */
    void computeDecay(int n, int strip) {
        for (int c = 0; c < STRIP; c += LANES) {
            VectorMath.exp2OfProducts(dt, rate, n * width + strip + c, decay, c, tokens * STRIP, STRIP);
        }
    }

    /** Channels of a strip that exist; the others, which fill it up, hold finite values without a meaning. */
    private int channelsOf(int strip) {
        return Math.min(STRIP, channels - strip);
    }

    /** Reads a strip of what lies in memory like the tokens. */
    void read(MemorySegment from, int strip, float[] into) {
        int count = channelsOf(strip);
        if (count == STRIP) {
            VectorOperands.readStrip(from, places, strip, into, tokens);
        } else {
            for (int t = 0; t < tokens; t++) {
                VectorOperands.read(from, places[t] + strip, into, t * STRIP, count);
            }
        }
    }

    /** Writes a strip of what lies in memory like the tokens: the first direction; the others add to what is there. */
    void write(float[] from, int strip, MemorySegment to) {
        int count = channelsOf(strip);
        boolean adding = direction > 0;
        if (count == STRIP) {
            if (adding) {
                VectorOperands.addStrip(from, to, places, strip, tokens);
            } else {
                VectorOperands.writeStrip(from, to, places, strip, tokens);
            }
            return;
        }
        for (int t = 0; t < tokens; t++) {
            if (adding) {
                VectorOperands.add(from, t * STRIP, to, places[t] + strip, count);
            } else {
                VectorOperands.write(from, t * STRIP, to, places[t] + strip, count);
            }
        }
    }

    /** Reads the states that were kept of this tile, for state {@code n} and one strip. */
    void readState(MemorySegment kept, int n, int strip, float[] into) {
        VectorOperands.read(kept, stateIndex(n) + strip, into, 0, channelsOf(strip));
    }

    /** Keeps the states of this tile's beginning. */
    void keepStates(float[] state, MemorySegment kept) {
        for (int n = 0; n < in.state; n++) {
            VectorOperands.write(state, n * width, kept, stateIndex(n), channels);
        }
    }

    /** b for one vector of channels along a tile. */
    private static void fill(float[] bias, int channel, int tokens, float[] out, int at) {
        FloatVector b = FloatVector.fromArray(SPECIES, bias, channel);
        for (int i = at; i < tokens * STRIP; i += STRIP) {
            b.intoArray(out, i);
        }
    }

    /** Adds W_dt x for {@link #UNROLLED} components of the low-rank step size and one vector of channels. */
    private static void project(float[] weight, int from, int width, float[] rows, int r, int row, int tokens,
            float[] out, int at) {
        FloatVector w0 = FloatVector.fromArray(SPECIES, weight, from);
        FloatVector w1 = FloatVector.fromArray(SPECIES, weight, from + width);
        FloatVector w2 = FloatVector.fromArray(SPECIES, weight, from + 2 * width);
        for (int t = 0; t < tokens; t++) {
            int i = t * STRIP + at;
            int x = t * row + r;
            FloatVector sum = w0.fma(FloatVector.broadcast(SPECIES, rows[x]), FloatVector.fromArray(SPECIES, out, i));
            sum = w1.fma(FloatVector.broadcast(SPECIES, rows[x + 1]), sum);
            w2.fma(FloatVector.broadcast(SPECIES, rows[x + 2]), sum).intoArray(out, i);
        }
    }
}

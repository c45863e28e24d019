package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;

/**
 * The scratch memory of one task, and the steps that forward and backward pass share. A task works through the scan of
 * one image for a block of channels, direction after direction, in tiles of {@value #TOKENS} tokens: its arrays are
 * (token, channel), the channels padded to whole vectors, and stay in the first-level cache.
 */
final class VectorTile {

    /** Tokens of a tile. */
    static final int TOKENS = 16;
    /** The widest block; narrower ones serve few channels. */
    private static final int MAX_BLOCK = 48;

    final VectorOperands in;
    final int image;
    final int firstChannel;
    /** Channels of this block. */
    final int channels;
    /** Those, padded. */
    final int width;

    /** Parameters of this block for the current direction. */
    final float[] weight;
    final float[] bias;
    final float[] skip;
    final float[] a;

    /** Of each token of the tile: its place in the grid and its projections. */
    final int[] positions = new int[TOKENS];
    final float[] rows;

    /** u, then the step size dt, exp(-|dt before softplus|), and dt u. */
    final float[] u;
    final float[] dt;
    final float[] z;
    final float[] dtU;
    /** exp(dt A) for one state. */
    final float[] decay;

    int direction;
    /** Tokens of the current tile: fewer than {@link #TOKENS} at the end. */
    int tokens;

    VectorTile(VectorOperands in, int task) {
        this.in = in;
        int blocks = blocks(in.channels);
        int block = task % blocks;
        int size = VectorMath.padded((in.channels + blocks - 1) / blocks);
        image = task / blocks;
        firstChannel = Math.min(block * size, in.channels);
        channels = Math.min(size, in.channels - firstChannel);
        width = VectorMath.padded(channels);
        weight = new float[in.rank * width];
        bias = new float[width];
        skip = new float[width];
        a = new float[in.state * width];
        rows = new float[TOKENS * in.row];
        u = new float[TOKENS * width];
        dt = new float[TOKENS * width];
        z = new float[TOKENS * width];
        dtU = new float[TOKENS * width];
        decay = new float[TOKENS * width];
    }

    /** Blocks that {@code channels} are cut into, whatever the number of threads: an even number, for two to share. */
    static int blocks(int channels) {
        int blocks = (channels + MAX_BLOCK - 1) / MAX_BLOCK;
        return channels <= LANES ? 1 : blocks + blocks % 2;
    }

    /** The number of tasks of a scan. */
    static int tasks(VectorOperands in) {
        return in.batch * blocks(in.channels);
    }

    /** Shape of the states at the beginning of every tile, which the forward pass keeps for the backward pass. */
    static long[] statesShape(VectorOperands in) {
        return new long[] {in.batch, DIRECTIONS, (in.length + TOKENS - 1) / TOKENS, in.state, in.channels};
    }

    /** Index among those of this block's first channel, at the tile that begins at time {@code start}. */
    long stateIndex(int start, int n) {
        long tiles = (in.length + TOKENS - 1) / TOKENS;
        return ((((long) image * DIRECTIONS + direction) * tiles + start / TOKENS) * in.state + n) * in.channels
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
    }

    /** (channel, n) of this block to (n, channel). */
    private void transpose(float[] from, int first, int n, float[] to) {
        for (int c = 0; c < channels; c++) {
            for (int i = 0; i < n; i++) {
                to[i * width + c] = from[(first + c) * n + i];
            }
        }
    }

    /** Reads the tokens of times {@code start}, ... and computes their step sizes. */
    void load(int start) {
        tokens = Math.min(TOKENS, in.length - start);
        for (int t = 0; t < tokens; t++) {
            int position = in.position(direction, start + t);
            positions[t] = position;
            VectorOperands.read(in.projections, in.projectionIndex(image, position, direction), rows, t * in.row,
                    in.row);
            read(in.tokens, t, u);
        }
        for (int c = 0; c < width; c += LANES) {
            project(weight, bias, rows, in.row, in.rank, dt, width, c);
        }
        VectorMath.expOfMinusAbs(dt, z, tokens * width);
    }

    /** After {@link #load}: turns what the projection gave into step sizes. */
    void finishStepSizes() {
        VectorMath.softplus(dt, z, tokens * width);
        multiply(dt, u, dtU, tokens * width);
    }

    /** Reads this block's channels of token {@code t} of the tile. */
    void read(MemorySegment from, int t, float[] into) {
        VectorOperands.read(from, in.tokenIndex(image, positions[t]) + firstChannel, into, t * width, channels);
    }

    /** Writes this block's channels of token {@code t} of the tile. */
    void write(float[] from, int t, MemorySegment to) {
        VectorOperands.write(from, t * width, to, in.tokenIndex(image, positions[t]) + firstChannel, channels);
    }

    /** Adds to this block's channels of token {@code t} of the tile. */
    void add(float[] from, int t, MemorySegment to) {
        VectorOperands.add(from, t * width, to, in.tokenIndex(image, positions[t]) + firstChannel, channels);
    }

    /** W_dt x + b for one vector of channels along a tile, four tokens at a time to have four independent sums. */
    private static void project(float[] weight, float[] bias, float[] rows, int row, int rank, float[] out, int width,
            int channel) {
        FloatVector b = FloatVector.fromArray(SPECIES, bias, channel);
        for (int t = 0; t < TOKENS; t += 4) {
            FloatVector sum0 = b;
            FloatVector sum1 = b;
            FloatVector sum2 = b;
            FloatVector sum3 = b;
            for (int r = 0; r < rank; r++) {
                FloatVector w = FloatVector.fromArray(SPECIES, weight, r * width + channel);
                int x = t * row + r;
                sum0 = w.fma(FloatVector.broadcast(SPECIES, rows[x]), sum0);
                sum1 = w.fma(FloatVector.broadcast(SPECIES, rows[x + row]), sum1);
                sum2 = w.fma(FloatVector.broadcast(SPECIES, rows[x + 2 * row]), sum2);
                sum3 = w.fma(FloatVector.broadcast(SPECIES, rows[x + 3 * row]), sum3);
            }
            int i = t * width + channel;
            sum0.intoArray(out, i);
            sum1.intoArray(out, i + width);
            sum2.intoArray(out, i + 2 * width);
            sum3.intoArray(out, i + 3 * width);
        }
    }

    private static void multiply(float[] x, float[] y, float[] out, int length) {
        for (int i = 0; i < length; i += LANES) {
            FloatVector.fromArray(SPECIES, x, i).mul(FloatVector.fromArray(SPECIES, y, i)).intoArray(out, i);
        }
    }

    /** {@link #decay} for state {@code n}. */
    void computeDecay(int n) {
        for (int t = 0; t < tokens; t++) {
            decay(dt, t * width, a, n * width, decay, width);
        }
    }

    private static void decay(float[] dt, int at, float[] a, int from, float[] out, int width) {
        for (int c = 0; c < width; c += LANES) {
            FloatVector product = FloatVector.fromArray(SPECIES, dt, at + c)
                    .mul(FloatVector.fromArray(SPECIES, a, from + c));
            VectorMath.exp(product).intoArray(out, at + c);
        }
    }

    /** Sets an array of the block's width to 0. */
    static void clear(float[] array) {
        Arrays.fill(array, 0);
    }
}

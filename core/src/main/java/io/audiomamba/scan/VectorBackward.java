package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The backward pass of one task. With g = dL/dy, e_t = exp(dt_t A) and s the step size before softplus, the chain rule
 * applied to the recurrence of {@link SelectiveScan2d} gives, backwards in time,
 *
 * <pre>
 *   l_t   = C_t g_t + e_(t+1) l_(t+1)                     dL/dh_t
 *   dC_t  = sum over channels of g_t h_t
 *   dB_t  = sum over channels of l_t dt_t u_t
 *   du_t  = dt_t sum over n of l_t B_t  +  D g_t
 *   ddt_t = u_t sum over n of l_t B_t  +  sum over n of l_t e_t h_(t-1) A
 *   daLog = A sum over t of l_t e_t h_(t-1) dt_t          since A = -exp(aLog)
 *   ds_t  = ddt_t softplus'(s_t)
 *   db    = sum over t of ds_t,  dW = sum over t of ds_t x_t,  dx_t = sum over channels of W ds_t
 * </pre>
 *
 * The states h are not kept from the forward pass: a first sweep stores those at the beginning of each tile, and each
 * tile then computes its own again.
 */
final class VectorBackward {

    private static final int ROOM = VectorTile.TOKENS;

    private final VectorOperands in;
    private final VectorTile tile;
    private final MemorySegment gradMerged;
    private final VectorGradients out;
    private final int width;
    private final int block;

    /** h at the beginning of each tile, (tile, N, channel). */
    private final float[] checkpoints;
    /** h before the first and after each token of the tile for one state, (token + 1, channel). */
    private final float[] states;
    /** e_(t+1) l_(t+1) at the end of the tile, (N, channel). */
    private final float[] carry;
    private final float[] grad;
    /** Sum over n of l B, and of l e h A. */
    private final float[] lB;
    private final float[] lehA;
    private final float[] gradU;
    private final float[] gradS;
    /** dB and dC for one state, one vector a token, not yet summed over its lanes. */
    private final float[] gradB = new float[ROOM * LANES];
    private final float[] gradC = new float[ROOM * LANES];
    private final float[] gradRows;
    private final float[] scratch;

    private final float[] gradWeight;
    private final float[] gradBias;
    private final float[] gradA;
    private final float[] gradSkip;

    VectorBackward(VectorOperands in, int task, MemorySegment gradMerged, VectorGradients out) {
        this.in = in;
        this.gradMerged = gradMerged;
        this.out = out;
        tile = new VectorTile(in, task);
        width = tile.width;
        block = task % VectorTile.blocks(in.channels);
        int tiles = (in.length + ROOM - 1) / ROOM;
        checkpoints = new float[tiles * in.state * width];
        states = new float[(ROOM + 1) * width];
        carry = new float[in.state * width];
        grad = new float[ROOM * width];
        lB = new float[ROOM * width];
        lehA = new float[ROOM * width];
        gradU = new float[ROOM * width];
        gradS = new float[ROOM * width];
        gradRows = new float[ROOM * in.row];
        scratch = new float[ROOM * width];
        gradWeight = new float[in.rank * width];
        gradBias = new float[width];
        gradA = new float[in.state * width];
        gradSkip = new float[width];
    }

    void run() {
        for (int k = 0; k < DIRECTIONS; k++) {
            tile.startDirection(k);
            storeCheckpoints();
            clearDirection();
            for (int start = (in.length - 1) / ROOM * ROOM; start >= 0; start -= ROOM) {
                tile.load(start);
                System.arraycopy(tile.dt, 0, gradS, 0, tile.tokens * width);
                tile.finishStepSizes();
                VectorMath.logistic(gradS, tile.z, tile.tokens * width);
                for (int t = 0; t < tile.tokens; t++) {
                    tile.read(gradMerged, t, grad);
                }
                backwardTile(start / ROOM);
                writeTile(k);
            }
            writeParameters(k);
        }
    }

    private void clearDirection() {
        for (float[] sum : new float[][] {carry, gradWeight, gradBias, gradA, gradSkip}) {
            VectorTile.clear(sum);
        }
    }

    private void storeCheckpoints() {
        int size = in.state * width;
        VectorTile.clear(carry);
        for (int start = 0; start < in.length; start += ROOM) {
            System.arraycopy(carry, 0, checkpoints, start / ROOM * size, size);
            tile.load(start);
            tile.finishStepSizes();
            for (int n = 0; n < in.state; n++) {
                tile.computeDecay(n);
                for (int c = 0; c < width; c += LANES) {
                    advance(tile.decay, tile.dtU, tile.rows, in.rank + n, in.row, tile.tokens, width, carry,
                            n * width, c);
                }
            }
        }
    }

    /** h after a tile from h before it. */
    private static void advance(float[] decay, float[] dtU, float[] rows, int b, int row, int tokens, int width,
            float[] state, int stateAt, int channel) {
        FloatVector h = FloatVector.fromArray(SPECIES, state, stateAt + channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * width + channel;
            h = h.fma(FloatVector.fromArray(SPECIES, decay, i),
                    FloatVector.fromArray(SPECIES, dtU, i).mul(rows[t * row + b]));
        }
        h.intoArray(state, stateAt + channel);
    }

    private void backwardTile(int index) {
        VectorTile.clear(lB);
        VectorTile.clear(lehA);
        for (int n = 0; n < in.state; n++) {
            tile.computeDecay(n);
            System.arraycopy(checkpoints, (index * in.state + n) * width, states, 0, width);
            VectorTile.clear(gradB);
            VectorTile.clear(gradC);
            int b = in.rank + n;
            for (int c = 0; c < width; c += LANES) {
                recompute(tile.decay, tile.dtU, tile.rows, b, in.row, tile.tokens, width, states, c);
                gradientsOfProjections(c, b + in.state, n);
            }
            for (int t = 0; t < tile.tokens; t++) {
                gradRows[t * in.row + b] = sumLanes(gradB, t);
                gradRows[t * in.row + b + in.state] = sumLanes(gradC, t);
            }
        }
        for (int c = 0; c < width; c += LANES) {
            gradientsOfInput(tile.dt, tile.u, tile.skip, grad, lB, lehA, gradU, gradS, gradBias, gradSkip,
                    tile.tokens, width, c);
        }
        for (int r = 0; r < in.rank; r++) {
            gradientsOfStepSize(r);
        }
    }

    private static float sumLanes(float[] vectors, int t) {
        return FloatVector.fromArray(SPECIES, vectors, t * LANES).reduceLanes(VectorOperators.ADD);
    }

    /** h of every token of the tile. */
    private static void recompute(float[] decay, float[] dtU, float[] rows, int b, int row, int tokens, int width,
            float[] states, int channel) {
        FloatVector h = FloatVector.fromArray(SPECIES, states, channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * width + channel;
            h = h.fma(FloatVector.fromArray(SPECIES, decay, i),
                    FloatVector.fromArray(SPECIES, dtU, i).mul(rows[t * row + b]));
            h.intoArray(states, i + width);
        }
    }

    /** The recurrence of l for state {@code n} and one vector of channels, and all sums over l. */
    private void gradientsOfProjections(int channel, int c, int n) {
        FloatVector a = FloatVector.fromArray(SPECIES, tile.a, n * width + channel);
        FloatVector next = FloatVector.fromArray(SPECIES, carry, n * width + channel);
        FloatVector sumA = FloatVector.fromArray(SPECIES, gradA, n * width + channel);
        for (int t = tile.tokens - 1; t >= 0; t--) {
            int i = t * width + channel;
            FloatVector g = FloatVector.fromArray(SPECIES, grad, i);
            FloatVector l = g.fma(FloatVector.broadcast(SPECIES, tile.rows[t * in.row + c]), next);
            next = l.mul(FloatVector.fromArray(SPECIES, tile.decay, i));
            FloatVector leh = next.mul(FloatVector.fromArray(SPECIES, states, i));
            sumA = leh.fma(FloatVector.fromArray(SPECIES, tile.dt, i), sumA);
            leh.fma(a, FloatVector.fromArray(SPECIES, lehA, i)).intoArray(lehA, i);
            accumulate(l, g, i, t, tile.rows[t * in.row + c - in.state]);
        }
        next.intoArray(carry, n * width + channel);
        sumA.intoArray(gradA, n * width + channel);
    }

    private void accumulate(FloatVector l, FloatVector g, int i, int t, float b) {
        l.fma(FloatVector.broadcast(SPECIES, b), FloatVector.fromArray(SPECIES, lB, i)).intoArray(lB, i);
        l.fma(FloatVector.fromArray(SPECIES, tile.dtU, i), FloatVector.fromArray(SPECIES, gradB, t * LANES))
                .intoArray(gradB, t * LANES);
        g.fma(FloatVector.fromArray(SPECIES, states, i + width), FloatVector.fromArray(SPECIES, gradC, t * LANES))
                .intoArray(gradC, t * LANES);
    }

    /** du and ds, the latter over the derivative of softplus, and the sums over time of ds and of g u. */
    private static void gradientsOfInput(float[] dt, float[] u, float[] skip, float[] grad, float[] lB, float[] lehA,
            float[] gradU, float[] gradS, float[] gradBias, float[] gradSkip, int tokens, int width, int channel) {
        FloatVector d = FloatVector.fromArray(SPECIES, skip, channel);
        FloatVector sumBias = FloatVector.fromArray(SPECIES, gradBias, channel);
        FloatVector sumSkip = FloatVector.fromArray(SPECIES, gradSkip, channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * width + channel;
            FloatVector g = FloatVector.fromArray(SPECIES, grad, i);
            FloatVector input = FloatVector.fromArray(SPECIES, u, i);
            FloatVector b = FloatVector.fromArray(SPECIES, lB, i);
            b.fma(FloatVector.fromArray(SPECIES, dt, i), g.mul(d)).intoArray(gradU, i);
            FloatVector s = b.fma(input, FloatVector.fromArray(SPECIES, lehA, i))
                    .mul(FloatVector.fromArray(SPECIES, gradS, i));
            s.intoArray(gradS, i);
            sumBias = sumBias.add(s);
            sumSkip = g.fma(input, sumSkip);
        }
        sumBias.intoArray(gradBias, channel);
        sumSkip.intoArray(gradSkip, channel);
    }

    /** dW and dx for one component of the low-rank step size. */
    private void gradientsOfStepSize(int r) {
        for (int t = 0; t < tile.tokens; t++) {
            gradRows[t * in.row + r] = gradientOfStepSize(gradS, t * width, tile.weight, gradWeight, r * width,
                    tile.rows[t * in.row + r], width);
        }
    }

    private static float gradientOfStepSize(float[] gradS, int at, float[] weight, float[] gradWeight, int row,
            float x, int width) {
        FloatVector sum = FloatVector.zero(SPECIES);
        for (int c = 0; c < width; c += LANES) {
            FloatVector s = FloatVector.fromArray(SPECIES, gradS, at + c);
            sum = s.fma(FloatVector.fromArray(SPECIES, weight, row + c), sum);
            s.fma(FloatVector.broadcast(SPECIES, x), FloatVector.fromArray(SPECIES, gradWeight, row + c))
                    .intoArray(gradWeight, row + c);
        }
        return sum.reduceLanes(VectorOperators.ADD);
    }

    private void writeTile(int k) {
        for (int t = 0; t < tile.tokens; t++) {
            if (k == 0) {
                tile.write(gradU, t, out.tokens);
            } else {
                tile.add(gradU, t, out.tokens, scratch);
            }
            long row = in.projectionIndex(block * in.batch + tile.image, tile.positions[t], k);
            VectorOperands.write(gradRows, t * in.row, out.projections, row, in.row);
        }
    }

    private void writeParameters(int k) {
        int first = k * in.channels + tile.firstChannel;
        System.arraycopy(gradBias, 0, out.dtBias[tile.image], first, tile.channels);
        System.arraycopy(gradSkip, 0, out.skip[tile.image], first, tile.channels);
        for (int c = 0; c < tile.channels; c++) {
            for (int r = 0; r < in.rank; r++) {
                out.dtWeight[tile.image][(first + c) * in.rank + r] = gradWeight[r * width + c];
            }
            for (int n = 0; n < in.state; n++) {
                out.aLogs[tile.image][(first + c) * in.state + n] = gradA[n * width + c] * tile.a[n * width + c];
            }
        }
    }
}

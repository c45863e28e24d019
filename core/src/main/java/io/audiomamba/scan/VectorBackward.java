package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

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
 * Of the states h the forward pass kept those at the beginning of each tile; the others are computed again.
 */
final class VectorBackward {

    private static final int ROOM = VectorTile.TOKENS;

    private final VectorOperands in;
    private final VectorTile tile;
    private final MemorySegment kept;
    private final MemorySegment gradMerged;
    private final VectorGradients out;
    private final int width;
    private final int block;

    /** h before the first and after each token of the tile for one state, (token + 1, channel). */
    private final float[] states;
    /** e_(t+1) l_(t+1) at the end of the tile, (N, channel). */
    private final float[] carry;
    private final float[] grad;
    /** Sum over n of l_t B_t, and of l_t e_t h_(t-1) A. */
    private final float[] lB;
    private final float[] lehA;
    private final float[] gradU;
    private final float[] gradS;
    /** dB and dC for one state, one vector a token, not yet summed over its lanes. */
    private final float[] gradB = new float[ROOM * LANES];
    private final float[] gradC = new float[ROOM * LANES];
    private final float[] gradRows;

    private final float[] gradWeight;
    private final float[] gradBias;
    private final float[] gradA;
    private final float[] gradSkip;

    VectorBackward(VectorOperands in, int task, MemorySegment kept, MemorySegment gradMerged, VectorGradients out) {
        this.in = in;
        this.kept = kept;
        this.gradMerged = gradMerged;
        this.out = out;
        tile = new VectorTile(in, task);
        width = tile.width;
        block = task % VectorTile.blocks(in.channels);
        states = new float[(ROOM + 1) * width];
        carry = new float[in.state * width];
        grad = new float[ROOM * width];
        lB = new float[ROOM * width];
        lehA = new float[ROOM * width];
        gradU = new float[ROOM * width];
        gradS = new float[ROOM * width];
        gradRows = new float[ROOM * in.row];
        gradWeight = new float[in.rank * width];
        gradBias = new float[width];
        gradA = new float[in.state * width];
        gradSkip = new float[width];
    }

    void run() {
        for (int k = 0; k < DIRECTIONS; k++) {
            tile.startDirection(k);
            clearDirection();
            for (int start = (in.length - 1) / ROOM * ROOM; start >= 0; start -= ROOM) {
                tile.load(start);
                System.arraycopy(tile.dt, 0, gradS, 0, tile.tokens * width);
                tile.finishStepSizes();
                VectorMath.logistic(gradS, tile.z, tile.tokens * width);
                for (int t = 0; t < tile.tokens; t++) {
                    tile.read(gradMerged, t, grad);
                }
                backwardTile(start);
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

    private void backwardTile(int start) {
        VectorTile.clear(lB);
        VectorTile.clear(lehA);
        for (int n = 0; n < in.state; n++) {
            tile.computeDecay(n);
            VectorOperands.read(kept, tile.stateIndex(start, n), states, 0, tile.channels);
            VectorTile.clear(gradB);
            VectorTile.clear(gradC);
            int b = in.rank + n;
            for (int c = 0; c < width; c += LANES) {
                recompute(tile.decay, tile.dtU, tile.rows, b, in.row, tile.tokens, width, states, grad, gradC, c);
                recurBackwards(grad, tile.decay, tile.dt, tile.dtU, states, tile.rows, b, b + in.state, in.row,
                        tile.tokens, width, carry, gradA, tile.a, n * width, lB, lehA, gradB, c);
            }
            sumLanes(gradB, gradRows, b, in.row, tile.tokens);
            sumLanes(gradC, gradRows, b + in.state, in.row, tile.tokens);
        }
        for (int c = 0; c < width; c += LANES) {
            gradientsOfInput(tile.dt, tile.u, tile.skip, grad, lB, lehA, gradU, gradS, tile.tokens, width, c);
            sumOverTime(gradS, grad, tile.u, gradBias, gradSkip, tile.tokens, width, c);
            for (int r = 0; r < in.rank; r++) {
                gradientOfWeight(gradS, tile.rows, r, in.row, tile.tokens, width, gradWeight, r * width, c);
            }
        }
        for (int r = 0; r < in.rank; r++) {
            gradientOfRank(gradS, tile.weight, r * width, tile.tokens, width, gradRows, r, in.row);
        }
    }

    /** For one state, h of every token of the tile and what it contributes to the gradient of C. */
    private static void recompute(float[] decay, float[] dtU, float[] rows, int b, int row, int tokens, int width,
            float[] states, float[] grad, float[] gradC, int channel) {
        FloatVector h = FloatVector.fromArray(SPECIES, states, channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * width + channel;
            h = h.fma(FloatVector.fromArray(SPECIES, decay, i),
                    FloatVector.fromArray(SPECIES, dtU, i).mul(rows[t * row + b]));
            h.intoArray(states, i + width);
            h.fma(FloatVector.fromArray(SPECIES, grad, i), FloatVector.fromArray(SPECIES, gradC, t * LANES))
                    .intoArray(gradC, t * LANES);
        }
    }

    /** For one state, what l_t of each token contributes to the gradients of u, dt, aLogs and B. */
    private static void recurBackwards(float[] grad, float[] decay, float[] dt, float[] dtU, float[] states,
            float[] rows, int b, int c, int row, int tokens, int width, float[] carry, float[] gradA, float[] a,
            int stateAt, float[] lB, float[] lehA, float[] gradB, int channel) {
        FloatVector next = FloatVector.fromArray(SPECIES, carry, stateAt + channel);
        FloatVector sumA = FloatVector.fromArray(SPECIES, gradA, stateAt + channel);
        FloatVector decayRate = FloatVector.fromArray(SPECIES, a, stateAt + channel);
        for (int t = tokens - 1; t >= 0; t--) {
            int i = t * width + channel;
            FloatVector now = FloatVector.fromArray(SPECIES, grad, i)
                    .fma(FloatVector.broadcast(SPECIES, rows[t * row + c]), next);
            now.fma(FloatVector.fromArray(SPECIES, dtU, i), FloatVector.fromArray(SPECIES, gradB, t * LANES))
                    .intoArray(gradB, t * LANES);
            now.fma(FloatVector.broadcast(SPECIES, rows[t * row + b]), FloatVector.fromArray(SPECIES, lB, i))
                    .intoArray(lB, i);
            next = now.mul(FloatVector.fromArray(SPECIES, decay, i));
            FloatVector leh = next.mul(FloatVector.fromArray(SPECIES, states, i));
            leh.fma(decayRate, FloatVector.fromArray(SPECIES, lehA, i)).intoArray(lehA, i);
            sumA = leh.fma(FloatVector.fromArray(SPECIES, dt, i), sumA);
        }
        next.intoArray(carry, stateAt + channel);
        sumA.intoArray(gradA, stateAt + channel);
    }

    private static void sumLanes(float[] vectors, float[] rows, int at, int row, int tokens) {
        for (int t = 0; t < tokens; t++) {
            rows[t * row + at] = VectorMath.sum(FloatVector.fromArray(SPECIES, vectors, t * LANES));
        }
    }

    /** du, and ds: gradS holds softplus'(s) before. */
    private static void gradientsOfInput(float[] dt, float[] u, float[] skip, float[] grad, float[] lB, float[] lehA,
            float[] gradU, float[] gradS, int tokens, int width, int channel) {
        FloatVector d = FloatVector.fromArray(SPECIES, skip, channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * width + channel;
            FloatVector b = FloatVector.fromArray(SPECIES, lB, i);
            b.fma(FloatVector.fromArray(SPECIES, dt, i), FloatVector.fromArray(SPECIES, grad, i).mul(d))
                    .intoArray(gradU, i);
            b.fma(FloatVector.fromArray(SPECIES, u, i), FloatVector.fromArray(SPECIES, lehA, i))
                    .mul(FloatVector.fromArray(SPECIES, gradS, i)).intoArray(gradS, i);
        }
    }

    private static void sumOverTime(float[] gradS, float[] grad, float[] u, float[] gradBias, float[] gradSkip,
            int tokens, int width, int channel) {
        FloatVector sumBias = FloatVector.fromArray(SPECIES, gradBias, channel);
        FloatVector sumSkip = FloatVector.fromArray(SPECIES, gradSkip, channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * width + channel;
            sumBias = sumBias.add(FloatVector.fromArray(SPECIES, gradS, i));
            sumSkip = FloatVector.fromArray(SPECIES, grad, i).fma(FloatVector.fromArray(SPECIES, u, i), sumSkip);
        }
        sumBias.intoArray(gradBias, channel);
        sumSkip.intoArray(gradSkip, channel);
    }

    /** dW for one component of the low-rank step size and one vector of channels. */
    private static void gradientOfWeight(float[] gradS, float[] rows, int r, int row, int tokens, int width,
            float[] gradWeight, int at, int channel) {
        FloatVector sum = FloatVector.fromArray(SPECIES, gradWeight, at + channel);
        for (int t = 0; t < tokens; t++) {
            sum = FloatVector.fromArray(SPECIES, gradS, t * width + channel)
                    .fma(FloatVector.broadcast(SPECIES, rows[t * row + r]), sum);
        }
        sum.intoArray(gradWeight, at + channel);
    }

    /** dx for one component of the low-rank step size. */
    private static void gradientOfRank(float[] gradS, float[] weight, int at, int tokens, int width, float[] gradRows,
            int r, int row) {
        for (int t = 0; t < tokens; t++) {
            FloatVector sum = FloatVector.zero(SPECIES);
            for (int c = 0; c < width; c += LANES) {
                sum = FloatVector.fromArray(SPECIES, gradS, t * width + c)
                        .fma(FloatVector.fromArray(SPECIES, weight, at + c), sum);
            }
            gradRows[t * row + r] = VectorMath.sum(sum);
        }
    }

    private void writeTile(int k) {
        for (int t = 0; t < tile.tokens; t++) {
            if (k == 0) {
                tile.write(gradU, t, out.tokens);
            } else {
                tile.add(gradU, t, out.tokens);
            }
            System.arraycopy(gradRows, t * in.row, out.projections[block],
                    Math.toIntExact(in.projectionIndex(tile.image, tile.positions[t], k)), in.row);
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

package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;
import static io.audiomamba.scan.VectorTile.STRIP;
import static io.audiomamba.scan.VectorTile.TOKENS;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
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

    /** Components of the low-rank step size that a step handles at once: VMamba's ranks are 3 or 6 times 2^n. */
    private static final int UNROLLED = 3;

    private final VectorOperands in;
    private final VectorTile tile;
    private final MemorySegment kept;
    private final VectorGradients out;
    private final int block;

    /** Of a strip and one state: exp(dt A), and h before the first and after each token of the tile. */
    private final float[] decay = new float[TOKENS * STRIP];
    private final float[] states = new float[(TOKENS + 1) * STRIP];
    /** Of a strip: dL/dy, the sum over n of l_t B_t, that of l_t e_t h_(t-1) A, softplus', and du. */
    private final float[] grad = new float[TOKENS * STRIP];
    private final float[] lB = new float[TOKENS * STRIP];
    private final float[] lehA = new float[TOKENS * STRIP];
    private final float[] slope = new float[TOKENS * STRIP];
    private final float[] gradU = new float[TOKENS * STRIP];
    /** ds of the whole block, strip after strip. */
    private final float[] gradS;
    /** dB and dC for each state, one vector a token, not yet summed over its lanes. */
    private final float[] gradB;
    private final float[] gradC;
    /** W_dt of the current direction, (channel, R), R padded to whole vectors. */
    private final float[] weightRows;
    private final int paddedRank;
    /** Of each token dx, padded like R, then dB and dC. */
    private final float[] gradRows;
    private final int gradRow;

    /** e_(t+1) l_(t+1) at the end of the tile, (N, channel). */
    private final float[] carry;
    private final float[] gradWeight;
    private final float[] gradBias;
    private final float[] gradA;
    private final float[] gradSkip;
    private final VectorTile.Step[] steps;

    VectorBackward(VectorOperands in, int task, MemorySegment kept, MemorySegment gradMerged, VectorGradients out) {
        this.in = in;
        this.kept = kept;
        this.out = out;
        tile = new VectorTile(in, task);
        block = task % VectorTile.blocks(in.channels);
        int width = tile.width;
        gradS = new float[TOKENS * width];
        gradB = new float[in.state * TOKENS * LANES];
        gradC = new float[in.state * TOKENS * LANES];
        paddedRank = VectorMath.padded(in.rank, LANES);
        weightRows = new float[width * paddedRank];
        gradRow = paddedRank + 2 * in.state;
        gradRows = new float[TOKENS * gradRow];
        carry = new float[in.state * width];
        gradWeight = new float[VectorMath.padded(in.rank, UNROLLED) * width];
        gradBias = new float[width];
        gradA = new float[in.state * width];
        gradSkip = new float[width];
        List<VectorTile.Step> all = new ArrayList<>(tile.loading());
        all.addAll(List.of(strip -> tile.read(gradMerged, strip, grad),
                _ -> VectorMath.logistic(tile.dt, tile.z, slope, tile.tokens * STRIP), this::scan,
                this::gradientsOfInput, this::gradientsOfParameters,
                strip -> tile.write(gradU, strip, out.tokens)));
        steps = all.toArray(VectorTile.Step[]::new);
    }

    void run() {
        for (int k = 0; k < DIRECTIONS; k++) {
            startDirection(k);
            for (int start = (in.length - 1) / TOKENS * TOKENS; start >= 0; start -= TOKENS) {
                tile.startTile(start);
                Arrays.fill(gradB, 0);
                Arrays.fill(gradC, 0);
                for (int strip = 0; strip < tile.width; strip += STRIP) {
                    for (VectorTile.Step step : steps) {
                        step.run(strip);
                    }
                }
                gradientsOfRows();
                writeRows(k);
            }
            writeParameters(k);
        }
    }

    private void startDirection(int k) {
        tile.startDirection(k);
        for (float[] sum : new float[][] {carry, gradWeight, gradBias, gradA, gradSkip}) {
            Arrays.fill(sum, 0);
        }
        for (int c = 0; c < tile.channels; c++) {
            System.arraycopy(in.dtWeight, (k * in.channels + tile.firstChannel + c) * in.rank, weightRows,
                    c * paddedRank, in.rank);
        }
    }

    private void scan(int strip) {
        Arrays.fill(lB, 0);
        Arrays.fill(lehA, 0);
        for (int n = 0; n < in.state; n++) {
            tile.readState(kept, n, strip, states);
            int b = (in.rank + n) * TOKENS;
            int stateAt = n * tile.width + strip;
            int lanesAt = n * TOKENS * LANES;
            for (int c = 0; c < STRIP; c += LANES) {
                recompute(tile.dt, tile.rate, stateAt + c, tile.dtU, tile.projected, b, tile.tokens, decay, grad,
                        states,
                        gradC, lanesAt, c);
                recurBackwards(grad, decay, tile.dt, tile.dtU, states, tile.projected, b, b + in.state * TOKENS,
                        tile.tokens, carry, gradA, tile.a, stateAt + c, lB, lehA, gradB, lanesAt, c);
            }
        }
    }

    private void gradientsOfInput(int strip) {
        for (int c = 0; c < STRIP; c += LANES) {
            gradientsOfInput(tile.dt, tile.u, tile.skip, strip + c, grad, lB, lehA, slope, gradU, gradS,
                    strip * TOKENS, tile.tokens, c);
        }
    }

    private void gradientsOfParameters(int strip) {
        int blockAt = strip * TOKENS;
        for (int c = 0; c < STRIP; c += LANES) {
            sumOverTime(gradS, blockAt, grad, tile.u, gradBias, gradSkip, strip + c, tile.tokens, c);
            for (int r = 0; r < in.rank; r += UNROLLED) {
                gradientOfWeight(gradS, blockAt + c, tile.projected, r * TOKENS, tile.tokens, gradWeight,
                        r * tile.width + strip + c, tile.width);
            }
        }
    }

    /** For one state, the decay at and h after every token of the tile, and what it contributes to the gradient of C. */
    private static void recompute(float[] dt, float[] rate, int stateAt, float[] dtU, float[] projected, int b,
            int tokens, float[] decay, float[] grad, float[] states, float[] gradC, int lanesAt, int at) {
        FloatVector a = FloatVector.fromArray(SPECIES, rate, stateAt);
        FloatVector h = FloatVector.fromArray(SPECIES, states, at);
        for (int t = 0; t < tokens; t++) {
            int i = t * STRIP + at;
            int lanes = lanesAt + t * LANES;
            FloatVector e = VectorMath.exp2(FloatVector.fromArray(SPECIES, dt, i), a);
            e.intoArray(decay, i);
            h = h.fma(e, FloatVector.fromArray(SPECIES, dtU, i).mul(projected[b + t]));
            h.intoArray(states, i + STRIP);
            h.fma(FloatVector.fromArray(SPECIES, grad, i), FloatVector.fromArray(SPECIES, gradC, lanes))
                    .intoArray(gradC, lanes);
        }
    }

    /** For one state, what l_t of each token contributes to the gradients of u, dt, aLogs and B. */
    private static void recurBackwards(float[] grad, float[] decay, float[] dt, float[] dtU, float[] states,
            float[] projected, int b, int c, int tokens, float[] carry, float[] gradA, float[] a, int stateAt,
            float[] lB, float[] lehA, float[] gradB, int lanesAt, int at) {
        // Of e_(t+1) l_(t+1) + C_t g_t only the sum waits for the token behind, not the product with e_t.
        FloatVector next = FloatVector.fromArray(SPECIES, carry, stateAt);
        FloatVector after = next;
        FloatVector decayAfter = FloatVector.broadcast(SPECIES, 1f);
        FloatVector sumA = FloatVector.fromArray(SPECIES, gradA, stateAt);
        FloatVector decayRate = FloatVector.fromArray(SPECIES, a, stateAt);
        for (int t = tokens - 1; t >= 0; t--) {
            int i = t * STRIP + at;
            int lanes = lanesAt + t * LANES;
            FloatVector now = after.fma(decayAfter, FloatVector.fromArray(SPECIES, grad, i).mul(projected[c + t]));
            now.fma(FloatVector.fromArray(SPECIES, dtU, i), FloatVector.fromArray(SPECIES, gradB, lanes))
                    .intoArray(gradB, lanes);
            now.fma(FloatVector.broadcast(SPECIES, projected[b + t]), FloatVector.fromArray(SPECIES, lB, i))
                    .intoArray(lB, i);
            after = now;
            decayAfter = FloatVector.fromArray(SPECIES, decay, i);
            next = now.mul(decayAfter);
            FloatVector leh = next.mul(FloatVector.fromArray(SPECIES, states, i));
            leh.fma(decayRate, FloatVector.fromArray(SPECIES, lehA, i)).intoArray(lehA, i);
            sumA = leh.fma(FloatVector.fromArray(SPECIES, dt, i), sumA);
        }
        next.intoArray(carry, stateAt);
        sumA.intoArray(gradA, stateAt);
    }

    /** du and ds. */
    private static void gradientsOfInput(float[] dt, float[] u, float[] skip, int channel, float[] grad, float[] lB,
            float[] lehA, float[] slope, float[] gradU, float[] gradS, int blockAt, int tokens, int at) {
        FloatVector d = FloatVector.fromArray(SPECIES, skip, channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * STRIP + at;
            FloatVector b = FloatVector.fromArray(SPECIES, lB, i);
            b.fma(FloatVector.fromArray(SPECIES, dt, i), FloatVector.fromArray(SPECIES, grad, i).mul(d))
                    .intoArray(gradU, i);
            b.fma(FloatVector.fromArray(SPECIES, u, i), FloatVector.fromArray(SPECIES, lehA, i))
                    .mul(FloatVector.fromArray(SPECIES, slope, i)).intoArray(gradS, blockAt + i);
        }
    }

    /** db and dD. */
    private static void sumOverTime(float[] gradS, int blockAt, float[] grad, float[] u, float[] gradBias,
            float[] gradSkip, int channel, int tokens, int at) {
        FloatVector sumBias = FloatVector.fromArray(SPECIES, gradBias, channel);
        FloatVector sumSkip = FloatVector.fromArray(SPECIES, gradSkip, channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * STRIP + at;
            sumBias = sumBias.add(FloatVector.fromArray(SPECIES, gradS, blockAt + i));
            sumSkip = FloatVector.fromArray(SPECIES, grad, i).fma(FloatVector.fromArray(SPECIES, u, i), sumSkip);
        }
        sumBias.intoArray(gradBias, channel);
        sumSkip.intoArray(gradSkip, channel);
    }

    /**
     * dW for {@link #UNROLLED} components of the low-rank step size and one vector of channels. Behind the last
     * component sums without a meaning, of B, fill the array up.
     */
    private static void gradientOfWeight(float[] gradS, int from, float[] projected, int r, int tokens,
            float[] gradWeight, int at, int width) {
        FloatVector sum0 = FloatVector.fromArray(SPECIES, gradWeight, at);
        FloatVector sum1 = FloatVector.fromArray(SPECIES, gradWeight, at + width);
        FloatVector sum2 = FloatVector.fromArray(SPECIES, gradWeight, at + 2 * width);
        for (int t = 0; t < tokens; t++) {
            FloatVector s = FloatVector.fromArray(SPECIES, gradS, from + t * STRIP);
            sum0 = s.fma(FloatVector.broadcast(SPECIES, projected[r + t]), sum0);
            sum1 = s.fma(FloatVector.broadcast(SPECIES, projected[r + TOKENS + t]), sum1);
            sum2 = s.fma(FloatVector.broadcast(SPECIES, projected[r + 2 * TOKENS + t]), sum2);
        }
        sum0.intoArray(gradWeight, at);
        sum1.intoArray(gradWeight, at + width);
        sum2.intoArray(gradWeight, at + 2 * width);
    }

    /** What the block's channels contribute to the gradients of the projections: dx, dB, dC. */
    private void gradientsOfRows() {
        for (int t = 0; t < tile.tokens; t += 4) {
            for (int r = 0; r < paddedRank; r += LANES) {
                gradientOfRank(gradS, t * STRIP, tile.width, weightRows, r, paddedRank, gradRows, t * gradRow + r,
                        gradRow);
            }
        }
        for (int n = 0; n < in.state; n++) {
            int lanesAt = n * TOKENS * LANES;
            sumLanes(gradB, lanesAt, gradRows, paddedRank + n, gradRow, tile.tokens);
            sumLanes(gradC, lanesAt, gradRows, paddedRank + in.state + n, gradRow, tile.tokens);
        }
    }

    /** dx for one vector of components of the low-rank step size, a few tokens at a time to have independent sums. */
    private static void gradientOfRank(float[] gradS, int from, int width, float[] weight, int r, int paddedRank,
            float[] gradRows, int at, int row) {
        FloatVector sum0 = FloatVector.zero(SPECIES);
        FloatVector sum1 = FloatVector.zero(SPECIES);
        FloatVector sum2 = FloatVector.zero(SPECIES);
        FloatVector sum3 = FloatVector.zero(SPECIES);
        for (int c = 0; c < width; c++) {
            FloatVector w = FloatVector.fromArray(SPECIES, weight, c * paddedRank + r);
            int i = from + c / STRIP * (TOKENS * STRIP) + c % STRIP;
            sum0 = w.fma(FloatVector.broadcast(SPECIES, gradS[i]), sum0);
            sum1 = w.fma(FloatVector.broadcast(SPECIES, gradS[i + STRIP]), sum1);
            sum2 = w.fma(FloatVector.broadcast(SPECIES, gradS[i + 2 * STRIP]), sum2);
            sum3 = w.fma(FloatVector.broadcast(SPECIES, gradS[i + 3 * STRIP]), sum3);
        }
        sum0.intoArray(gradRows, at);
        sum1.intoArray(gradRows, at + row);
        sum2.intoArray(gradRows, at + 2 * row);
        sum3.intoArray(gradRows, at + 3 * row);
    }

    private static void sumLanes(float[] vectors, int from, float[] rows, int at, int row, int tokens) {
        for (int t = 0; t < tokens; t++) {
            rows[t * row + at] = VectorMath.sumOfLanes(vectors, from + t * LANES);
        }
    }

    private void writeRows(int k) {
        float[] to = out.projections[block];
        for (int t = 0; t < tile.tokens; t++) {
            int at = Math.toIntExact(in.projectionIndex(tile.image, tile.positions[t], k));
            System.arraycopy(gradRows, t * gradRow, to, at, in.rank);
            System.arraycopy(gradRows, t * gradRow + paddedRank, to, at + in.rank, 2 * in.state);
        }
    }

    private void writeParameters(int k) {
        int first = k * in.channels + tile.firstChannel;
        System.arraycopy(gradBias, 0, out.dtBias[tile.image], first, tile.channels);
        System.arraycopy(gradSkip, 0, out.skip[tile.image], first, tile.channels);
        for (int c = 0; c < tile.channels; c++) {
            for (int r = 0; r < in.rank; r++) {
                out.dtWeight[tile.image][(first + c) * in.rank + r] = gradWeight[r * tile.width + c];
            }
            for (int n = 0; n < in.state; n++) {
                out.aLogs[tile.image][(first + c) * in.state + n] = gradA[n * tile.width + c]
                        * tile.a[n * tile.width + c];
            }
        }
    }
}

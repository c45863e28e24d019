package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;
import static io.audiomamba.scan.VectorTile.DT;
import static io.audiomamba.scan.VectorTile.DT_U;
import static io.audiomamba.scan.VectorTile.PLANE;
import static io.audiomamba.scan.VectorTile.STRIP;
import static io.audiomamba.scan.VectorTile.TOKENS;
import static io.audiomamba.scan.VectorTile.U;

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

    /** Planes: dL/dy, the sum over n of l_t B_t, that of l_t e_t h_(t-1) A, softplus', and du. */
    private static final int GRAD = VectorTile.OWN;
    private static final int L_B = GRAD + PLANE;
    private static final int LEH_A = L_B + PLANE;
    private static final int SLOPE = LEH_A + PLANE;
    private static final int GRAD_U = SLOPE + PLANE;
    /** Of an even state: exp(dt A), and h before the first and after each token of the tile; the odd one's are behind. */
    private static final int DECAY = GRAD_U + PLANE;
    private static final int STATES = DECAY + PLANE;
    private static final int TO_ODD = 2 * PLANE;
    /** dB and then dC for each state, one vector a token, not yet summed over its lanes. */
    private static final int GRAD_LANES = DECAY + 2 * TO_ODD;
    private static final int LANES_OF_STATE = TOKENS * LANES;

    private final VectorOperands in;
    private final VectorTile tile;
    private final MemorySegment kept;
    private final VectorGradients out;
    private final int block;
    /** Zeros, which the block's first vector adds its part of dB and dC to: that is cheaper than clearing them. */
    private final int zeros;

    /** ds of the whole block, strip after strip. */
    private final float[] gradS;
    /** W_dt of the current direction, (channel, R), R padded to whole vectors. */
    private final float[] weightRows;
    private final int paddedRank;
    /** Of each token dx, padded like R, then dB and dC. */
    private final float[] gradRows;
    private final int gradRow;

    /** h at the beginning of the tile, and e_(t+1) l_(t+1) at its end, (N, channel). */
    private final float[] state;
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
        zeros = GRAD_LANES + 2 * in.state * LANES_OF_STATE;
        tile = new VectorTile(in, task, zeros + LANES_OF_STATE - VectorTile.OWN);
        block = task % VectorTile.blocks(in.channels);
        int width = tile.width;
        gradS = new float[TOKENS * width];
        paddedRank = VectorMath.padded(in.rank, LANES);
        weightRows = new float[width * paddedRank];
        gradRow = paddedRank + 2 * in.state;
        gradRows = new float[TOKENS * gradRow];
        state = new float[in.state * width];
        carry = new float[in.state * width];
        gradWeight = new float[VectorMath.padded(in.rank, UNROLLED) * width];
        gradBias = new float[width];
        gradA = new float[in.state * width];
        gradSkip = new float[width];
        List<VectorTile.Step> all = new ArrayList<>(tile.loading());
        all.addAll(List.of(strip -> tile.read(gradMerged, strip, GRAD),
                _ -> VectorMath.logistic(tile.scratch, DT, VectorTile.Z, SLOPE, tile.tokens * STRIP),
                _ -> Arrays.fill(tile.scratch, L_B, SLOPE, 0)));
        for (int i = 0; i < in.state; i += 2) {
            int n = i;
            all.add(strip -> recompute(n, strip, 0));
            if (n + 1 < in.state) {
                all.add(strip -> recompute(n + 1, strip, TO_ODD));
                all.add(strip -> recurTwoBackwards(n, strip));
            } else {
                all.add(strip -> recurOneBackwards(n, strip));
            }
        }
        all.addAll(List.of(this::gradientsOfInput, this::gradientsOfParameters,
                strip -> tile.write(GRAD_U, strip, out.tokens)));
        steps = all.toArray(VectorTile.Step[]::new);
    }

    void run() {
        for (int k = 0; k < DIRECTIONS; k++) {
            startDirection(k);
            for (int start = (in.length - 1) / TOKENS * TOKENS; start >= 0; start -= TOKENS) {
                tile.startTile(start);
                tile.readStates(kept, state);
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

    private void recompute(int n, int strip, int toOdd) {
        int stateAt = n * tile.width + strip;
        int lanesAt = GRAD_LANES + (in.state + n) * LANES_OF_STATE;
        for (int c = 0; c < STRIP; c += LANES) {
            recompute(tile.scratch, tile.rate, stateAt + c, tile.projected, (in.rank + n) * TOKENS, tile.tokens, state,
                    toOdd, before(lanesAt, strip + c), lanesAt, c);
        }
    }

    private void recurOneBackwards(int n, int strip) {
        int stateAt = n * tile.width + strip;
        int lanesAt = GRAD_LANES + n * LANES_OF_STATE;
        int b = (in.rank + n) * TOKENS;
        for (int c = 0; c < STRIP; c += LANES) {
            recurOneBackwards(tile.scratch, tile.projected, b, b + in.state * TOKENS, tile.tokens, carry, gradA, tile.a,
                    stateAt + c, before(lanesAt, strip + c), lanesAt, c);
        }
    }

    private void recurTwoBackwards(int n, int strip) {
        int stateAt = n * tile.width + strip;
        int lanesAt = GRAD_LANES + n * LANES_OF_STATE;
        int b = (in.rank + n) * TOKENS;
        for (int c = 0; c < STRIP; c += LANES) {
            recurTwoBackwards(tile.scratch, tile.projected, b, b + in.state * TOKENS, tile.tokens, carry, gradA, tile.a,
                    stateAt + c, tile.width, before(lanesAt, strip + c),
                    before(lanesAt + LANES_OF_STATE, strip + c), lanesAt, c);
        }
    }

    /** Where the sum stands that the vector at {@code channel} of the block adds its part to. */
    private int before(int lanesAt, int channel) {
        return channel == 0 ? zeros : lanesAt;
    }

    private void gradientsOfInput(int strip) {
        for (int c = 0; c < STRIP; c += LANES) {
            gradientsOfInput(tile.scratch, tile.skip, strip + c, gradS, strip * TOKENS, tile.tokens, c);
        }
    }

    private void gradientsOfParameters(int strip) {
        int blockAt = strip * TOKENS;
        for (int c = 0; c < STRIP; c += LANES) {
            sumOverTime(gradS, blockAt, tile.scratch, gradBias, gradSkip, strip + c, tile.tokens, c);
            for (int r = 0; r < in.rank; r += UNROLLED) {
                gradientOfWeight(gradS, blockAt + c, tile.projected, r * TOKENS, tile.tokens, gradWeight,
                        r * tile.width + strip + c, tile.width);
            }
        }
    }

    /**
     * For one state, the decay at and h after every token of the tile, and what it contributes to the gradient of C:
     * what stands at {@code before} is added.
     */
    private static void recompute(float[] s, float[] rate, int stateAt, float[] projected, int b, int tokens,
            float[] state, int toOdd, int before, int gradC, int at) {
        FloatVector a = FloatVector.fromArray(SPECIES, rate, stateAt);
        FloatVector h = FloatVector.fromArray(SPECIES, state, stateAt);
        h.intoArray(s, STATES + toOdd + at);
        for (int t = 0; t < tokens; t++) {
            int i = t * STRIP + at;
            FloatVector e = VectorMath.exp2(FloatVector.fromArray(SPECIES, s, DT + i), a);
            e.intoArray(s, DECAY + toOdd + i);
            h = h.fma(e, FloatVector.fromArray(SPECIES, s, DT_U + i).mul(projected[b + t]));
            h.intoArray(s, STATES + toOdd + STRIP + i);
            h.fma(FloatVector.fromArray(SPECIES, s, GRAD + i), FloatVector.fromArray(SPECIES, s, before + t * LANES))
                    .intoArray(s, gradC + t * LANES);
        }
    }

    /** For one state, what l_t of each token contributes to the gradients of u, dt, aLogs and B. */
    private static void recurOneBackwards(float[] s, float[] projected, int b, int c, int tokens, float[] carry,
            float[] gradA, float[] a, int stateAt, int before, int gradB, int at) {
        FloatVector next = FloatVector.fromArray(SPECIES, carry, stateAt);
        FloatVector sumA = FloatVector.fromArray(SPECIES, gradA, stateAt);
        FloatVector decayRate = FloatVector.fromArray(SPECIES, a, stateAt);
        for (int t = tokens - 1; t >= 0; t--) {
            int i = t * STRIP + at;
            FloatVector l = FloatVector.fromArray(SPECIES, s, GRAD + i)
                    .fma(FloatVector.broadcast(SPECIES, projected[c + t]), next);
            l.fma(FloatVector.fromArray(SPECIES, s, DT_U + i), FloatVector.fromArray(SPECIES, s, before + t * LANES))
                    .intoArray(s, gradB + t * LANES);
            l.fma(FloatVector.broadcast(SPECIES, projected[b + t]), FloatVector.fromArray(SPECIES, s, L_B + i))
                    .intoArray(s, L_B + i);
            next = l.mul(FloatVector.fromArray(SPECIES, s, DECAY + i));
            FloatVector leh = next.mul(FloatVector.fromArray(SPECIES, s, STATES + i));
            leh.fma(decayRate, FloatVector.fromArray(SPECIES, s, LEH_A + i)).intoArray(s, LEH_A + i);
            sumA = leh.fma(FloatVector.fromArray(SPECIES, s, DT + i), sumA);
        }
        next.intoArray(carry, stateAt);
        sumA.intoArray(gradA, stateAt);
    }

    /**
     * The same for two states at once, an even and an odd one, for what they share to be read and written once: the loop
     * is bound by its loads and stores, although they meet the cache.
     */
    private static void recurTwoBackwards(float[] s, float[] projected, int b, int c, int tokens, float[] carry,
            float[] gradA, float[] a, int stateAt, int width, int before0, int before1, int gradB, int at) {
        FloatVector next0 = FloatVector.fromArray(SPECIES, carry, stateAt);
        FloatVector next1 = FloatVector.fromArray(SPECIES, carry, stateAt + width);
        FloatVector sumA0 = FloatVector.fromArray(SPECIES, gradA, stateAt);
        FloatVector sumA1 = FloatVector.fromArray(SPECIES, gradA, stateAt + width);
        FloatVector decayRate0 = FloatVector.fromArray(SPECIES, a, stateAt);
        FloatVector decayRate1 = FloatVector.fromArray(SPECIES, a, stateAt + width);
        for (int t = tokens - 1; t >= 0; t--) {
            int i = t * STRIP + at;
            FloatVector g = FloatVector.fromArray(SPECIES, s, GRAD + i);
            FloatVector l0 = g.fma(FloatVector.broadcast(SPECIES, projected[c + t]), next0);
            FloatVector l1 = g.fma(FloatVector.broadcast(SPECIES, projected[c + TOKENS + t]), next1);
            FloatVector dtU = FloatVector.fromArray(SPECIES, s, DT_U + i);
            l0.fma(dtU, FloatVector.fromArray(SPECIES, s, before0 + t * LANES)).intoArray(s, gradB + t * LANES);
            l1.fma(dtU, FloatVector.fromArray(SPECIES, s, before1 + t * LANES)).intoArray(s,
                    gradB + LANES_OF_STATE + t * LANES);
            FloatVector lB = l0.fma(FloatVector.broadcast(SPECIES, projected[b + t]),
                    FloatVector.fromArray(SPECIES, s, L_B + i));
            l1.fma(FloatVector.broadcast(SPECIES, projected[b + TOKENS + t]), lB).intoArray(s, L_B + i);
            next0 = l0.mul(FloatVector.fromArray(SPECIES, s, DECAY + i));
            next1 = l1.mul(FloatVector.fromArray(SPECIES, s, DECAY + TO_ODD + i));
            FloatVector leh0 = next0.mul(FloatVector.fromArray(SPECIES, s, STATES + i));
            FloatVector leh1 = next1.mul(FloatVector.fromArray(SPECIES, s, STATES + TO_ODD + i));
            leh1.fma(decayRate1, leh0.fma(decayRate0, FloatVector.fromArray(SPECIES, s, LEH_A + i))).intoArray(s,
                    LEH_A + i);
            FloatVector dt = FloatVector.fromArray(SPECIES, s, DT + i);
            sumA0 = leh0.fma(dt, sumA0);
            sumA1 = leh1.fma(dt, sumA1);
        }
        next0.intoArray(carry, stateAt);
        next1.intoArray(carry, stateAt + width);
        sumA0.intoArray(gradA, stateAt);
        sumA1.intoArray(gradA, stateAt + width);
    }

    /** du and ds. */
    private static void gradientsOfInput(float[] s, float[] skip, int channel, float[] gradS, int blockAt, int tokens,
            int at) {
        FloatVector d = FloatVector.fromArray(SPECIES, skip, channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * STRIP + at;
            FloatVector b = FloatVector.fromArray(SPECIES, s, L_B + i);
            b.fma(FloatVector.fromArray(SPECIES, s, DT + i), FloatVector.fromArray(SPECIES, s, GRAD + i).mul(d))
                    .intoArray(s, GRAD_U + i);
            b.fma(FloatVector.fromArray(SPECIES, s, U + i), FloatVector.fromArray(SPECIES, s, LEH_A + i))
                    .mul(FloatVector.fromArray(SPECIES, s, SLOPE + i)).intoArray(gradS, blockAt + i);
        }
    }

    /** db and dD. */
    private static void sumOverTime(float[] gradS, int blockAt, float[] s, float[] gradBias, float[] gradSkip,
            int channel, int tokens, int at) {
        FloatVector sumBias = FloatVector.fromArray(SPECIES, gradBias, channel);
        FloatVector sumSkip = FloatVector.fromArray(SPECIES, gradSkip, channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * STRIP + at;
            sumBias = sumBias.add(FloatVector.fromArray(SPECIES, gradS, blockAt + i));
            sumSkip = FloatVector.fromArray(SPECIES, s, GRAD + i).fma(FloatVector.fromArray(SPECIES, s, U + i),
                    sumSkip);
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
        for (int i = 0; i < 2 * in.state; i++) {
            VectorMath.sumLanes(tile.scratch, GRAD_LANES + i * LANES_OF_STATE, tile.tokens, gradRows, paddedRank + i,
                    gradRow);
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

package io.audiomamba.scan;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The elementary functions of the scan on vectors, with relative errors of about 1e-7. Not a number goes in, not a
 * number comes out: no step hides one.
 *
 * <p>Each method is one loop of some twenty vector operations over arrays that stay in the first-level cache. Larger
 * loops exceed what the JIT compiler inlines; it then boxes the vectors, and the loop becomes several times slower.
 */
final class VectorMath {

    static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    static final int LANES = SPECIES.length();

    private static final float LOG2_E = 1.44269504f;
    /** ln 2 in two parts, the first with trailing zeros, so that n ln 2 is subtracted without rounding. */
    private static final float LN2_HIGH = 0.693359375f;
    private static final float LN2_LOW = -2.12194440e-4f;
    /** Adding it rounds to an integer n and leaves n + 127, the biased exponent of 2^n, in the low bits. */
    private static final float ROUND = 0x1.8p23f + 127;
    private static final float SMALLEST = -87.3f;

    private static final VectorShuffle<Float> EIGHT_APART = apart(8);
    private static final VectorShuffle<Float> FOUR_APART = apart(4);
    private static final VectorShuffle<Float> TWO_APART = apart(2);

    private VectorMath() {}

    private static VectorShuffle<Float> apart(int distance) {
        return SPECIES.shuffleFromOp(lane -> (lane ^ distance) % LANES);
    }

    /** {@code n} rounded up to whole vectors. */
    static int padded(int n) {
        return (n + LANES - 1) / LANES * LANES;
    }

    /**
     * exp(x) for x at most 0; below -87.3 it stays at 1e-38. Cody and Waite's reduction to |r| at most ln(2) / 2, then
     * a polynomial with the coefficients of Cephes' expf.
     */
    static FloatVector exp(FloatVector argument) {
        FloatVector x = argument.blend(SMALLEST, argument.compare(VectorOperators.LT, SMALLEST));
        FloatVector rounded = x.fma(FloatVector.broadcast(SPECIES, LOG2_E), FloatVector.broadcast(SPECIES, ROUND));
        FloatVector n = rounded.sub(ROUND);
        FloatVector r = n.fma(FloatVector.broadcast(SPECIES, -LN2_HIGH), x);
        r = n.fma(FloatVector.broadcast(SPECIES, -LN2_LOW), r);
        FloatVector p = FloatVector.broadcast(SPECIES, 1.9875691500e-4f);
        p = p.fma(r, FloatVector.broadcast(SPECIES, 1.3981999507e-3f));
        p = p.fma(r, FloatVector.broadcast(SPECIES, 8.3334519073e-3f));
        p = p.fma(r, FloatVector.broadcast(SPECIES, 4.1665795894e-2f));
        p = p.fma(r, FloatVector.broadcast(SPECIES, 1.6666665459e-1f));
        p = p.fma(r, FloatVector.broadcast(SPECIES, 5.0000001201e-1f));
        p = p.fma(r.mul(r), r).add(1f);
        return p.mul(rounded.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
    }

    /** log(1 + z) for z in [0, 1]: z times a minimax polynomial for log(1 + z) / z. */
    private static FloatVector log1p(FloatVector z) {
        FloatVector p = FloatVector.broadcast(SPECIES, 5.253457796e-03f);
        p = p.fma(z, FloatVector.broadcast(SPECIES, -2.958850739e-02f));
        p = p.fma(z, FloatVector.broadcast(SPECIES, 7.836166801e-02f));
        p = p.fma(z, FloatVector.broadcast(SPECIES, -1.367476970e-01f));
        p = p.fma(z, FloatVector.broadcast(SPECIES, 1.911143108e-01f));
        p = p.fma(z, FloatVector.broadcast(SPECIES, -2.484436989e-01f));
        p = p.fma(z, FloatVector.broadcast(SPECIES, 3.331927134e-01f));
        p = p.fma(z, FloatVector.broadcast(SPECIES, -4.999950152e-01f));
        p = p.fma(z, FloatVector.broadcast(SPECIES, 9.999999705e-01f));
        return p.mul(z);
    }

    /**
     * The sum of the lanes, added in one fixed order. {@link FloatVector#reduceLanes} adds in another order before the
     * JIT compiler has seen it than after, and training would not be repeatable.
     */
    static float sum(FloatVector v) {
        FloatVector halves = v;
        if (LANES > 8) {
            halves = halves.add(halves.rearrange(EIGHT_APART));
        }
        if (LANES > 4) {
            halves = halves.add(halves.rearrange(FOUR_APART));
        }
        halves = halves.add(halves.rearrange(TWO_APART));
        return halves.lane(0) + halves.lane(1);
    }

    /** z = exp(-|x|), from which softplus and its derivative follow without overflow. */
    static void expOfMinusAbs(float[] x, float[] z, int length) {
        for (int i = 0; i < length; i += LANES) {
            exp(FloatVector.fromArray(SPECIES, x, i).abs().neg()).intoArray(z, i);
        }
    }

    /** x becomes softplus(x) = max(x, 0) + log(1 + z). */
    static void softplus(float[] x, float[] z, int length) {
        for (int i = 0; i < length; i += LANES) {
            FloatVector v = FloatVector.fromArray(SPECIES, x, i);
            // (x + |x|) / 2 is max(x, 0), but keeps what is not a number.
            v.add(v.abs()).mul(0.5f).add(log1p(FloatVector.fromArray(SPECIES, z, i))).intoArray(x, i);
        }
    }

    /** x becomes softplus'(x), the logistic function: 1 / (1 + z) for positive x, z / (1 + z) else. */
    static void logistic(float[] x, float[] z, int length) {
        for (int i = 0; i < length; i += LANES) {
            FloatVector v = FloatVector.fromArray(SPECIES, x, i);
            FloatVector e = FloatVector.fromArray(SPECIES, z, i);
            FloatVector numerator = FloatVector.broadcast(SPECIES, 1f).blend(e, v.compare(VectorOperators.LT, 0f));
            numerator.div(e.add(1f)).intoArray(x, i);
        }
    }
}

package io.audiomamba.scan;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The elementary functions of the scan on vectors, with relative errors of at most 2e-7. Not a number goes in, not a
 * number comes out: no step hides one.
 *
 * <p>A loop has some twenty vector operations and goes over arrays that stay in the first-level cache. Longer chains of
 * operations fill a processor's schedulers and are slower than two loops; and larger methods exceed what the JIT compiler
 * inlines: it then boxes the vectors, and the loop becomes several times slower.
 */
final class VectorMath {

    static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    static final int LANES = SPECIES.length();
    private static final VectorSpecies<Float> FOUR = FloatVector.SPECIES_128;

    static final float LOG2_E = 1.44269504f;
    static final float LN_2 = 0.693147181f;
    /** Adding it rounds to an integer n and leaves n + 127, the biased exponent of 2^n, in the low bits. */
    private static final float ROUND = 0x1.8p23f + 127;
    /** The bits that -127 leaves there, and with them an exponent of 0: 2^-126 is the smallest normal number. */
    private static final int SMALLEST = Float.floatToRawIntBits(ROUND - 127);

    private VectorMath() {}

    /** {@code n} rounded up to a multiple of {@code unit}. */
    static int padded(int n, int unit) {
        return (n + unit - 1) / unit * unit;
    }

    /**
     * 2^(x factor) for a product of at most 0; 0 below 2^-126. The fraction f of the exponent, at most 1/2 either way,
     * goes through a minimax polynomial q(f) for (2^f - 1) / f: the result is exact at 0, so that slow decay, over many
     * tokens, has no bias. One constant more would not fit into the registers of AVX2 beside those of a recurrence.
     */
    static FloatVector exp2(FloatVector x, FloatVector factor) {
        FloatVector rounded = x.fma(factor, broadcast(ROUND));
        FloatVector f = x.fma(factor, broadcast(ROUND).sub(rounded));
        // A maximum of integers: that of floats takes several instructions. What is not a number stays above.
        FloatVector scale = rounded.reinterpretAsInts().max(SMALLEST).lanewise(VectorOperators.LSHL, 23)
                .reinterpretAsFloats();
        FloatVector q = f.fma(broadcast(1.32647273e-3f), broadcast(9.67151299e-3f));
        q = q.fma(f, broadcast(5.55073358e-2f));
        q = q.fma(f, broadcast(2.40222424e-1f));
        q = q.fma(f, broadcast(6.93147004e-1f));
        return q.fma(scale.mul(f), scale);
    }

    private static FloatVector broadcast(float value) {
        return FloatVector.broadcast(SPECIES, value);
    }

    /** log(1 + z) / z for z in [0, 1], a minimax polynomial. */
    private static FloatVector log1pRatio(FloatVector z) {
        FloatVector p = broadcast(5.253457796e-03f);
        p = p.fma(z, broadcast(-2.958850739e-02f));
        p = p.fma(z, broadcast(7.836166801e-02f));
        p = p.fma(z, broadcast(-1.367476970e-01f));
        p = p.fma(z, broadcast(1.911143108e-01f));
        p = p.fma(z, broadcast(-2.484436989e-01f));
        p = p.fma(z, broadcast(3.331927134e-01f));
        p = p.fma(z, broadcast(-4.999950152e-01f));
        return p.fma(z, broadcast(9.999999705e-01f));
    }

    /**
     * The sum of each vector's lanes, of {@code count} vectors one after the other, in place: four lanes at a time, and
     * then those four. {@link FloatVector#reduceLanes} adds in another order before the JIT compiler has seen it than
     * after, and training would not be repeatable; shuffles take longer.
     *
     * @param out where the sums go, from {@code at} on, {@code stride} apart
     */
    static void sumLanes(float[] vectors, int from, int count, float[] out, int at, int stride) {
        for (int i = 0; i < count; i++) {
            FloatVector sum = FloatVector.fromArray(FOUR, vectors, from + i * LANES);
            for (int lane = 4; lane < LANES; lane += 4) {
                sum = sum.add(FloatVector.fromArray(FOUR, vectors, from + i * LANES + lane));
            }
            sum.intoArray(vectors, from + 4 * i);
        }
        for (int i = 0; i < count; i++) {
            int four = from + 4 * i;
            out[at + i * stride] = vectors[four] + vectors[four + 1] + (vectors[four + 2] + vectors[four + 3]);
        }
    }

    /** z = exp(-|x|), from which softplus and its derivative follow without overflow. All operands are parts of {@code s}. */
    static void expOfMinusAbs(float[] s, int x, int z, int length) {
        for (int i = 0; i < length; i += LANES) {
            exp2(FloatVector.fromArray(SPECIES, s, x + i).abs(), broadcast(-LOG2_E)).intoArray(s, z + i);
        }
    }

    /** x becomes softplus(x) = max(x, 0) + log(1 + z), and out that times {@code factor}. */
    static void softplus(float[] s, int x, int z, int factor, int out, int length) {
        for (int i = 0; i < length; i += LANES) {
            FloatVector v = FloatVector.fromArray(SPECIES, s, x + i);
            FloatVector e = FloatVector.fromArray(SPECIES, s, z + i);
            // (x + |x|) / 2 is max(x, 0), but keeps what is not a number.
            FloatVector y = log1pRatio(e).fma(e, v.add(v.abs()).mul(0.5f));
            y.intoArray(s, x + i);
            y.mul(FloatVector.fromArray(SPECIES, s, factor + i)).intoArray(s, out + i);
        }
    }

    /** softplus'(x), the logistic function: 1 / (1 + z) for positive x, where softplus(x) > log(2), z / (1 + z) else. */
    static void logistic(float[] s, int softplus, int z, int out, int length) {
        for (int i = 0; i < length; i += LANES) {
            FloatVector v = FloatVector.fromArray(SPECIES, s, softplus + i);
            FloatVector e = FloatVector.fromArray(SPECIES, s, z + i);
            FloatVector numerator = broadcast(1f).blend(e, v.compare(VectorOperators.LT, LN_2));
            numerator.div(e.add(1f)).intoArray(s, out + i);
        }
    }
}

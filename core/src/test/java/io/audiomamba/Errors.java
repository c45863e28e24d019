package io.audiomamba;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.Tensor;

/** How far results are from what they should be. */
public final class Errors {

    private Errors() {}

    /** The largest difference over the largest value; fails where shapes differ or a value is not finite. */
    public static double relative(Tensor actual, Tensor expected) {
        assertThat(Tensors.shape(actual)).isEqualTo(Tensors.shape(expected));
        double[] a = Tensors.toDoubles(actual);
        double[] e = Tensors.toDoubles(expected);
        double difference = 0;
        double largest = 1e-30;
        for (int i = 0; i < a.length; i++) {
            assertThat(a[i]).isFinite();
            difference = Math.max(difference, Math.abs(a[i] - e[i]));
            largest = Math.max(largest, Math.abs(e[i]));
        }
        return difference / largest;
    }
}

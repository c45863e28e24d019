package io.audiomamba.fused;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.Errors;
import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.Natives;
import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The product in parts against LibTorch's in double precision. */
class LinearProductTest {

    private PointerScope scope;

    @BeforeEach
    void seed() {
        Natives.loadTorch();
        scope = new PointerScope();
        torch.manual_seed(20260902);
    }

    @AfterEach
    void free() {
        scope.close();
        Natives.setThreads(2);
    }

    private static Tensor inDouble(Tensor tensor) {
        return tensor.to(ScalarType.Double);
    }

    /** More rows than columns and the reverse, small and large, in parts that do and do not come out even. */
    @ParameterizedTest
    @CsvSource({"1,1,1,1", "1,1,768,527", "2,3,5,7", "1,2000,48,13", "3,777,31,96", "1,64,300,1555", "2,17,129,513"})
    void equalsLibTorch(int batch, int rows, int in, int out) {
        Tensor x = torch.randn(batch, rows, in);
        Tensor weight = torch.randn(out, in);
        Tensor bias = torch.randn(out);
        Tensor plain = torch.linear(inDouble(x), inDouble(weight));
        Tensor biased = torch.linear(inDouble(x), inDouble(weight), new TensorOptional(inDouble(bias)));
        for (int threads : new int[] {1, 2, 3}) {
            Natives.setThreads(threads);
            assertThat(Errors.relative(LinearProduct.apply(x, weight, null), plain)).isLessThan(1e-6);
            assertThat(Errors.relative(LinearProduct.apply(x, weight, bias), biased)).isLessThan(1e-6);
            Tensor difference = inDouble(LinearProduct.applyGelu(x, weight, bias)).sub(torch.gelu(biased));
            assertThat(difference.abs().max().item_double()).isLessThan(1e-6 * biased.abs().max().item_double());
        }
    }

    /** Near zero and far out on either side, and what is not a number or has no end. */
    @Test
    void geluIsRightEverywhere() {
        Tensor one = torch.ones(1, 1);
        Tensor x = torch.linspace(new Scalar(-20), new Scalar(20), 40_003).unsqueeze(1);
        Tensor difference = inDouble(LinearProduct.applyGelu(x, one, null)).sub(torch.gelu(inDouble(x)));
        assertThat(difference.abs().max().item_double()).isLessThan(1.5e-6);
        Tensor small = x.mul(new Scalar(1e-3));
        assertThat(Errors.relative(LinearProduct.applyGelu(small, one, null), torch.gelu(inDouble(small))))
                .isLessThan(3e-7);
        Tensor strange = Tensors.of(new float[] {Float.NaN, Float.POSITIVE_INFINITY, 100}, 3, 1);
        assertThat(Tensors.toFloats(LinearProduct.applyGelu(strange, one, null))).containsExactly(Float.NaN,
                Float.POSITIVE_INFINITY, 100);
    }

    @Test
    void operandsMayBeStrided() {
        Tensor x = torch.randn(96, 2, 300).transpose(0, 2).select(1, 1);
        Tensor weight = torch.randn(96, 40).t();
        assertThat(Errors.relative(LinearProduct.apply(x, weight, null), torch.linear(inDouble(x), inDouble(weight))))
                .isLessThan(1e-6);
    }

    @Test
    void noRowsGiveNoRows() {
        assertThat(Tensors.shape(LinearProduct.apply(torch.empty(0, 4), torch.ones(3, 4), torch.ones(3))))
                .containsExactly(0, 3);
    }

    /** Where a gradient, double or mixed precision is wanted, LibTorch computes. */
    @Test
    void leavesTheRestToLibTorch() {
        Tensor x = torch.randn(5, 4);
        Tensor weight = torch.randn(3, 4).requires_grad_(true);
        LinearProduct.apply(x, weight, null).sum().backward();
        double[] sums = Tensors.toDoubles(x.sum(0));
        assertThat(Tensors.toDoubles(weight.grad().select(0, 2)))
                .usingComparatorWithPrecision(1e-5).containsExactly(sums);
        assertThat(LinearProduct.apply(inDouble(x), inDouble(weight.detach()), null).scalar_type().intern())
                .isEqualTo(ScalarType.Double);
        ScalarType mixed = Autocast.run(DeviceType.CPU, ScalarType.BFloat16,
                () -> LinearProduct.apply(x, weight.detach(), null).scalar_type().intern());
        assertThat(mixed).isEqualTo(ScalarType.BFloat16);
    }

    /** Several callers share the workers. */
    @Test
    void callersDoNotDisturbOneAnother() {
        Tensor x = torch.randn(700, 64);
        Tensor weight = torch.randn(96, 64);
        float[] expected = Tensors.toFloats(LinearProduct.apply(x, weight, null));
        float[][] results = new float[8][];
        Thread[] callers = new Thread[results.length];
        for (int i = 0; i < callers.length; i++) {
            int caller = i;
            callers[i] = Thread.ofPlatform().start(() -> {
                try (var _ = new PointerScope()) {
                    results[caller] = Tensors.toFloats(LinearProduct.apply(x, weight, null));
                }
            });
        }
        Arrays.stream(callers).forEach(caller -> {
            try {
                caller.join();
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        for (float[] result : results) {
            assertThat(result).isEqualTo(expected);
        }
    }
}

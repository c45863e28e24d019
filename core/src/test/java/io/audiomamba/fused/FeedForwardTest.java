package io.audiomamba.fused;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.Errors;
import io.audiomamba.torch.GradientTape;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;

/** On a CPU, against LibTorch's own; {@link FusedTest} does so on a GPU. */
class FeedForwardTest {

    private static final double ROUNDING = 1e-14;

    @Test
    void resultAndGradientsEqualLibTorchs() {
        try (var _ = new PointerScope(); var _ = new GradientTape()) {
            torch.manual_seed(20261125);
            Tensor[] actual = {torch.randn(2, 3, 5), torch.randn(11, 5), torch.randn(11), torch.randn(4, 11),
                    torch.randn(4)};
            Tensor[] expected = new Tensor[actual.length];
            for (int i = 0; i < actual.length; i++) {
                actual[i] = actual[i].to(ScalarType.Double).requires_grad_(true);
                expected[i] = actual[i].detach().clone().requires_grad_(true);
            }
            Tensor y = FeedForward.apply(actual[0], actual[1], actual[2], actual[3], actual[4]);
            Tensor right = torch.linear(
                    torch.gelu(torch.linear(expected[0], expected[1], new TensorOptional(expected[2]))), expected[3],
                    new TensorOptional(expected[4]));
            assertThat(Errors.relative(y, right)).isLessThan(ROUNDING);
            Tensor gradient = torch.randn_like(right);
            y.backward(gradient, null, false, null);
            right.backward(gradient, null, false, null);
            for (int i = 0; i < actual.length; i++) {
                assertThat(Errors.relative(actual[i].grad(), expected[i].grad())).as("gradient " + i)
                        .isLessThan(ROUNDING);
            }
        }
    }
}

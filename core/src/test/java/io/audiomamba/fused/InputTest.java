package io.audiomamba.fused;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.Errors;
import io.audiomamba.torch.GradientTape;
import java.util.function.Function;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;

/** Operations on inputs, kept or computed again, on a CPU against LibTorch's own; {@link FusedTest} does so on a GPU. */
class InputTest {

    private static final double ROUNDING = 1e-14;

    /** The square of x. */
    private record Square(Tensor x) implements Input {
        @Override
        public Tensor value() {
            try (var _ = new NoGradGuard()) {
                return x.square();
            }
        }

        @Override
        public Tensor[] sources() {
            return new Tensor[] {x};
        }

        @Override
        public Tensor[] gradients(Tensor gradValue) {
            return new Tensor[] {gradValue.mul(x).mul(new Scalar(2.0))};
        }
    }

    @Test
    void asATensor() {
        compare(x -> new Square(x[0]).tensor(), x -> x[0].square(), torch.randn(2, 3, 5));
    }

    @Test
    void ofALinearLayer() {
        compare(x -> FusedLinear.apply(new Square(x[0]), x[1]), x -> torch.linear(x[0].square(), x[1]),
                torch.randn(2, 3, 5), torch.randn(7, 5));
        compare(x -> FusedLinear.apply(Input.of(x[0]), x[1]), x -> torch.linear(x[0], x[1]), torch.randn(2, 3, 5),
                torch.randn(7, 5));
    }

    @Test
    void ofAFeedForwardNetwork() {
        Tensor[] operands = {torch.randn(2, 3, 5), torch.randn(11, 5), torch.randn(11), torch.randn(4, 11),
                torch.randn(4)};
        compare(x -> FeedForward.apply(new Square(x[0]), x[1], x[2], x[3], x[4]), x -> feedForward(x[0].square(), x),
                operands);
        compare(x -> FeedForward.apply(Input.of(x[0]), x[1], x[2], x[3], x[4]), x -> feedForward(x[0], x), operands);
    }

    private static Tensor feedForward(Tensor x, Tensor[] in) {
        return torch.linear(torch.gelu(torch.linear(x, in[1], new TensorOptional(in[2]))), in[3],
                new TensorOptional(in[4]));
    }

    private static void compare(Function<Tensor[], Tensor> ours, Function<Tensor[], Tensor> theirs,
            Tensor... operands) {
        try (var _ = new PointerScope(); var _ = new GradientTape()) {
            Tensor[] actual = new Tensor[operands.length];
            Tensor[] expected = new Tensor[operands.length];
            for (int i = 0; i < operands.length; i++) {
                actual[i] = operands[i].to(ScalarType.Double).requires_grad_(true);
                expected[i] = actual[i].detach().clone().requires_grad_(true);
            }
            Tensor y = ours.apply(actual);
            Tensor right = theirs.apply(expected);
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

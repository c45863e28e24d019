package io.audiomamba.fused;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.Errors;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
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
        compare(x -> new Square(x[0]).tensor(), x -> x[0].square(), new long[] {2, 3, 5});
    }

    @Test
    void ofALinearLayer() {
        long[][] shapes = {{2, 3, 5}, {7, 5}};
        compare(x -> FusedLinear.apply(new Square(x[0]), x[1]), x -> torch.linear(x[0].square(), x[1]), shapes);
        compare(x -> FusedLinear.apply(Input.of(x[0]), x[1]), x -> torch.linear(x[0], x[1]), shapes);
    }

    @Test
    void ofAFeedForwardNetwork() {
        long[][] shapes = {{2, 3, 5}, {11, 5}, {11}, {4, 11}, {4}};
        compare(x -> FeedForward.apply(new Square(x[0]), x[1], x[2], x[3], x[4]), x -> feedForward(x[0].square(), x),
                shapes);
        compare(x -> FeedForward.apply(Input.of(x[0]), x[1], x[2], x[3], x[4]), x -> feedForward(x[0], x), shapes);
    }

    private static Tensor feedForward(Tensor x, Tensor[] in) {
        return torch.linear(torch.gelu(torch.linear(x, in[1], new TensorOptional(in[2]))), in[3],
                new TensorOptional(in[4]));
    }

    /** Of operands of these shapes, the first of which is made on the way: only the tape keeps it. */
    private static void compare(Function<Tensor[], Tensor> ours, Function<Tensor[], Tensor> theirs, long[]... shapes) {
        try (var _ = new GradientTape(); var _ = new PointerScope()) {
            torch.manual_seed(20261126);
            Tensor[] actual = new Tensor[shapes.length];
            Tensor[] expected = new Tensor[shapes.length];
            for (int i = 0; i < shapes.length; i++) {
                actual[i] = torch.randn(shapes[i]).to(ScalarType.Double).requires_grad_(true);
                expected[i] = actual[i].detach().clone().requires_grad_(true);
            }
            Tensor y = Tensors.scoped(() -> ours.apply(withFirstDoubled(actual)));
            Tensor right = theirs.apply(withFirstDoubled(expected));
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

    private static Tensor[] withFirstDoubled(Tensor[] operands) {
        Tensor[] doubled = operands.clone();
        doubled[0] = operands[0].mul(new Scalar(2.0));
        return doubled;
    }
}

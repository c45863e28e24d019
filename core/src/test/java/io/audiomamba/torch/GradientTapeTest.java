package io.audiomamba.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.function.BinaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;

class GradientTapeTest {

    /** A product whose value and gradient are computed here, not by LibTorch's graph. */
    private static Tensor product(Tensor x, Tensor w) {
        Tensor y;
        try (var _ = new NoGradGuard()) {
            y = x.mul(w);
        }
        Tensor xData = x.detach();
        Tensor wData = w.detach();
        return GradientTape.differentiable(y, new Tensor[] {x, w}, new Tensor[] {xData, wData},
                grad -> new Tensor[] {grad.mul(wData), grad.mul(xData)});
    }

    /** A graph that branches, so that gradients of several uses must be added up. */
    private static Tensor loss(Tensor[] p, BinaryOperator<Tensor> times) {
        Tensor a = times.apply(p[0], p[1]);
        Tensor c = times.apply(a.tanh(), p[2]);
        Tensor e = times.apply(c.add(a).add(p[0]), a.sin());
        return times.apply(e, e).mul(c).sum();
    }

    private static double[][] gradients(BinaryOperator<Tensor> times) {
        try (var _ = new GradientTape(); var _ = new PointerScope()) {
            Tensor[] p = new Tensor[3];
            for (int i = 0; i < p.length; i++) {
                p[i] = torch.arange(new Scalar(35)).to(ScalarType.Double)
                        .mul(new Scalar(0.3 * (i + 1))).sin().view(5, 7).clone()
                        .requires_grad_(true);
            }
            loss(p, times).backward();
            double[][] result = new double[p.length][];
            for (int i = 0; i < p.length; i++) {
                result[i] = Tensors.toDoubles(p[i].grad());
            }
            return result;
        }
    }

    @Test
    void gradientsEqualThoseOfLibTorch() {
        assertThat(gradients(GradientTapeTest::product)).isDeepEqualTo(gradients(Tensor::mul));
    }

    @Test
    void anInputWithoutGradientGetsNone() {
        try (var _ = new GradientTape(); var _ = new PointerScope()) {
            Tensor x = torch.ones(3).requires_grad_(true);
            Tensor w = torch.full(new long[] {3}, new Scalar(2.0));
            product(x, w).sum().backward();
            assertThat(Tensors.toFloats(x.grad())).containsExactly(2, 2, 2);
            assertThat(w.grad().defined()).isFalse();
        }
    }

    @Test
    void withoutGradientNoTapeIsNeeded() {
        try (var _ = new PointerScope()) {
            assertThat(product(torch.ones(3), torch.ones(3)).requires_grad()).isFalse();
        }
    }

    @Test
    void aMissingTapeIsReported() {
        try (var _ = new PointerScope()) {
            Tensor x = torch.ones(3).requires_grad_(true);
            assertThatThrownBy(() -> product(x, x)).isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("GradientTape");
        }
    }

    @Test
    void anExceptionInTheBackwardPassReachesTheCallerAndSparesTheNextStep() {
        try (var _ = new GradientTape(); var _ = new PointerScope()) {
            Tensor x = torch.ones(3).requires_grad_(true);
            Tensor y = GradientTape.differentiable(torch.ones(3), new Tensor[] {x}, new Tensor[0], grad -> {
                throw new IllegalStateException("no gradient today");
            });
            assertThatThrownBy(y.sum()::backward).hasMessageContaining("no gradient today");
        }
        gradientsEqualThoseOfLibTorch();
    }
}

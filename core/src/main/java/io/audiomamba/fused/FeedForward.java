package io.audiomamba.fused;

import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Two linear layers with GELU between them, in training: one operation, which keeps the input of GELU and computes its
 * output again in the backward pass. The two are the widest tensors of a block, and keeping both is a quarter of a
 * training step's memory. On a GPU GELU, its gradient and that of the first bias take one pass over memory;
 * {@code gelu.cu} holds the kernels.
 */
public final class FeedForward {

    private static final String KERNELS = "gelu.cu";

    private FeedForward() {}

    /**
     * @param x       (..., in)
     * @param weight1 (hidden, in)
     * @param bias1   (hidden)
     * @param weight2 (out, hidden)
     * @param bias2   (out)
     * @return (..., out), in the type of x or that of {@linkplain Autocast mixed precision}
     */
    public static Tensor apply(Input x, Tensor weight1, Tensor bias1, Tensor weight2, Tensor bias2) {
        Tensor hidden;
        Tensor y;
        try (var _ = new NoGradGuard()) {
            ScalarType type = Autocast.resultType(x.sources()[0]);
            hidden = Tensors.scoped(
                    () -> LinearProduct.whole(x.value().to(type), weight1.to(type), bias1.to(type)).contiguous());
            y = Tensors.scoped(() -> LinearProduct.whole(gelu(hidden), weight2.to(type), bias2.to(type)));
        }
        return GradientTape.differentiable(y, Tensors.concat(x.sources(), weight1, bias1, weight2, bias2),
                Tensors.concat(x.sources(), weight1, weight2, hidden),
                gradient -> gradients(x, weight1, weight2, hidden, gradient));
    }

    /** GELU (Hendrycks and Gimpel 2016) of a contiguous tensor, without a gradient. */
    static Tensor gelu(Tensor x) {
        if (!x.is_cuda() || x.numel() == 0) {
            return torch.gelu(x);
        }
        Tensor y = torch.empty_like(x);
        new ColumnSums(x).launch(KERNELS, "forward", x, y);
        return y;
    }

    private static Tensor[] gradients(Input x, Tensor weight1, Tensor weight2, Tensor hidden, Tensor gradY) {
        ScalarType type = hidden.scalar_type().intern();
        Tensor rows = gradY.to(type).flatten(0, -2).contiguous();
        Tensor inner = hidden.flatten(0, -2);
        Activation activation = Activation.of(inner, rows.mm(weight2.to(type)));
        Tensor gradWeight2 = rows.t().mm(activation.output());
        Tensor value = x.value().to(type);
        Tensor gradX = activation.gradient().mm(weight1.to(type)).view(value.sizes());
        Tensor gradWeight1 = activation.gradient().t().mm(value.flatten(0, -2));
        ScalarType ofParameters = weight1.scalar_type().intern();
        return Tensors.concat(x.gradients(gradX), gradWeight1.to(ofParameters),
                activation.gradientSum().to(ofParameters), gradWeight2.to(ofParameters),
                (rows.is_cuda() ? ColumnSums.of(rows) : rows.sum(0)).to(ofParameters));
    }

    /**
     * GELU in the backward pass.
     *
     * @param output      GELU's, (rows, C)
     * @param gradient    of its input, (rows, C)
     * @param gradientSum over the rows, (C)
     */
    private record Activation(Tensor output, Tensor gradient, Tensor gradientSum) {

        /** @param gradOutput may be overwritten */
        static Activation of(Tensor input, Tensor gradOutput) {
            if (!input.is_cuda()) {
                Tensor gradient = torch.gelu_backward(gradOutput, input);
                return new Activation(torch.gelu(input), gradient, gradient.sum(0));
            }
            ColumnSums sums = new ColumnSums(input);
            Tensor output = torch.empty_like(input);
            Tensor parts = sums.parts();
            sums.launch(KERNELS, "backward", input, output, gradOutput, parts);
            return new Activation(output, gradOutput, parts.sum(0));
        }
    }
}

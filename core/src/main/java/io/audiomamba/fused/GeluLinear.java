package io.audiomamba.fused;

import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A linear layer behind GELU, as one operation that keeps the input of GELU and computes its output again in the
 * backward pass: the two are the widest tensors of a block, and keeping both is a quarter of a training step's memory.
 */
public final class GeluLinear {

    private GeluLinear() {}

    /**
     * @param x      (..., in)
     * @param weight (out, in)
     * @param bias   (out)
     * @return (..., out)
     */
    public static Tensor apply(Tensor x, Tensor weight, Tensor bias) {
        Tensor y;
        try (var _ = new NoGradGuard()) {
            y = Tensors.scoped(() -> torch.linear(torch.gelu(x), weight, new TensorOptional(bias)));
        }
        return GradientTape.differentiable(y, new Tensor[] {x, weight, bias}, null,
                gradY -> gradients(x, weight, gradY));
    }

    private static Tensor[] gradients(Tensor x, Tensor weight, Tensor gradY) {
        ScalarType type = x.scalar_type().intern();
        ScalarType ofParameters = weight.scalar_type().intern();
        Tensor rows = gradY.to(type).flatten(0, -2);
        Tensor gradWeight = rows.t().mm(torch.gelu(x).flatten(0, -2)).to(ofParameters);
        Tensor gradGelu = rows.mm(weight.to(type)).view(x.sizes());
        return new Tensor[] {torch.gelu_backward(gradGelu, x), gradWeight, rows.sum(0).to(ofParameters)};
    }
}

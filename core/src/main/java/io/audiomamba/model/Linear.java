package io.audiomamba.model;

import io.audiomamba.fused.FeedForward;
import io.audiomamba.fused.FusedLinear;
import io.audiomamba.fused.Input;
import io.audiomamba.fused.LinearProduct;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.Tensor;

/** y = x W^T + b on the last dimension. */
final class Linear {

    private final Tensor weight;
    private final Tensor bias;

    Linear(Parameters.Scope scope, long in, long out, boolean biased) {
        weight = scope.parameter("weight", Initializer.NORMAL, out, in);
        bias = biased ? scope.parameter("bias", Initializer.ZEROS, out) : null;
    }

    /**
     * Two layers with biases and GELU between them: (..., in of the first) to (..., out of the second). Without a
     * gradient the widest tensor is passed through once: GELU belongs to the first layer.
     */
    static Tensor forward(Linear first, Linear second, Input x) {
        Tensor[] operands = Tensors.concat(x.sources(), first.weight, first.bias, second.weight, second.bias);
        return GradientTape.isNeededFor(operands)
                ? FeedForward.apply(x, first.weight, first.bias, second.weight, second.bias)
                : Tensors.scoped(() -> second.forward(LinearProduct.applyGelu(x.value(), first.weight, first.bias)));
    }

    /** (..., in) to (..., out). A layer with a bias keeps its input after all. */
    Tensor forward(Input x) {
        return bias == null && !(x instanceof Input.Kept) ? FusedLinear.apply(x, weight) : forward(x.tensor());
    }

    /** (..., in) to (..., out). */
    Tensor forward(Tensor x) {
        return LinearProduct.apply(x, weight, bias);
    }
}

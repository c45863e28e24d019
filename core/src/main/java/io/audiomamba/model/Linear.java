package io.audiomamba.model;

import io.audiomamba.fused.GeluLinear;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.LinearProduct;
import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** y = x W^T + b on the last dimension. */
final class Linear {

    private final Tensor weight;
    private final Tensor bias;

    Linear(Parameters.Scope scope, long in, long out, boolean biased) {
        weight = scope.parameter("weight", Initializer.NORMAL, out, in);
        bias = biased ? scope.parameter("bias", Initializer.ZEROS, out) : null;
    }

    /** What {@link #forward} gives for GELU(x); for a layer with a bias. */
    Tensor forwardGelu(Tensor x) {
        return GradientTape.isNeededFor(new Tensor[] {x, weight, bias})
                ? GeluLinear.apply(x, weight, bias)
                : Tensors.scoped(() -> forward(torch.gelu(x)));
    }

    /** (..., in) to (..., out). */
    Tensor forward(Tensor x) {
        return LinearProduct.apply(x, weight, bias);
    }
}

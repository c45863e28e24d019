package io.audiomamba.fused;

import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** y = x W^T of an {@link Input}, in training. */
public final class FusedLinear {

    private FusedLinear() {}

    /**
     * @param x      (..., in)
     * @param weight (out, in)
     * @return (..., out), in the type of x or that of {@linkplain Autocast mixed precision}
     */
    public static Tensor apply(Input x, Tensor weight) {
        Tensor y;
        Tensor typed;
        try (var _ = new NoGradGuard()) {
            ScalarType type = Autocast.resultType(x.sources()[0]);
            typed = weight.to(type);
            y = Tensors.scoped(() -> LinearProduct.whole(x.value().to(type), typed, null));
        }
        ScalarType ofWeight = weight.scalar_type().intern();
        return GradientTape.differentiable(y, Tensors.concat(x.sources(), weight), Tensors.concat(x.sources(), typed),
                gradient -> {
                    Tensor rows = gradient.to(typed.scalar_type()).flatten(0, -2);
                    Tensor value = x.value().to(typed.scalar_type());
                    Tensor gradWeight = rows.t().mm(value.flatten(0, -2)).to(ofWeight);
                    return Tensors.concat(x.gradients(rows.mm(typed).view(value.sizes())), gradWeight);
                });
    }
}

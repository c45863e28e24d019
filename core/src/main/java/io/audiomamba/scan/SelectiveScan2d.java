package io.audiomamba.scan;

import io.audiomamba.torch.GradientTape;
import java.util.Arrays;
import java.util.stream.Stream;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

/**
 * The 2-D selective scan of VMamba (Liu et al. 2024, "VMamba: Visual State Space Model", SS2D) as one differentiable
 * operation. The tokens of a grid are read in four orders k: 0 by rows, 1 by columns, 2 by rows backwards, 3 by columns
 * backwards. Along each order runs a selective scan (Gu and Dao 2023, "Mamba", algorithm 2) per channel, with the
 * state h of size N and A = -exp(aLogs):
 *
 * <pre>
 *   dt_t = softplus(W_dt x_t + b)
 *   h_t  = exp(dt_t A) h_(t-1) + dt_t B_t u_t
 *   y_t  = C_t h_t + D u_t
 * </pre>
 *
 * and the result at a token is the sum of its four y. The low-rank x_t, B_t and C_t are read off the token itself by a
 * linear projection, which commutes with the reordering: one product on the tokens as they lie serves all orders.
 */
public final class SelectiveScan2d {

    private SelectiveScan2d() {}

    /**
     * @return y, (B, H, W, D), part of the graph if an operand requires a gradient (and then a
     *         {@link GradientTape} must be open)
     */
    public static Tensor apply(ScanKernel kernel, ScanInputs inputs) {
        boolean withBackward = GradientTape.isNeededFor(inputs.tensors());
        ScanKernel.Result result;
        try (var _ = new NoGradGuard()) {
            result = kernel.forward(inputs, withBackward);
        }
        Tensor[] kept = Stream.concat(Arrays.stream(inputs.tensors()), Stream.ofNullable(result.kept()))
                .toArray(Tensor[]::new);
        return GradientTape.differentiable(result.merged(), inputs.tensors(), kept,
                gradMerged -> kernel.backward(inputs, result.kept(), gradMerged).tensors());
    }
}

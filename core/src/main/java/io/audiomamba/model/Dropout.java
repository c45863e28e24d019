package io.audiomamba.model;

import io.audiomamba.fused.Residual;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Regularisation by leaving things out in training. */
final class Dropout {

    private Dropout() {}

    /** Zeroes each value with probability {@code rate} (Srivastava et al. 2014), drawn from LibTorch's generator. */
    static Tensor values(Tensor x, double rate, Pass pass) {
        return pass.training() && rate > 0 ? torch.dropout(x, rate, true) : x;
    }

    /** The sum of {@code x} and residual branch number {@code index}, which drop path may leave out. */
    static Tensor residual(Tensor x, Tensor branch, int index, Pass pass) {
        if (pass.dropPath() == null) {
            return x.add(branch);
        }
        Tensor kept = pass.dropPath().select(0, index).to(branch.scalar_type());
        return Residual.supports(x, branch)
                ? Residual.apply(x, branch, kept)
                : torch.addcmul(x, branch, kept.view(-1, 1, 1, 1));
    }
}

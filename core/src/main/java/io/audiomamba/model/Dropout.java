package io.audiomamba.model;

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
        return pass.dropPath() == null
                ? x.add(branch)
                : torch.addcmul(x, branch, pass.dropPath().select(0, index).view(-1, 1, 1, 1).to(branch.scalar_type()));
    }
}

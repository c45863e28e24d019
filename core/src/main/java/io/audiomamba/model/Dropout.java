package io.audiomamba.model;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Regularisation by leaving things out in training, drawn from LibTorch's global generator. */
final class Dropout {

    private Dropout() {}

    /** Zeroes each value with probability {@code rate} (Srivastava et al. 2014). */
    static Tensor values(Tensor x, double rate, Pass pass) {
        return pass.training() && rate > 0 ? torch.dropout(x, rate, true) : x;
    }

    /**
     * The sum of {@code x} and a residual branch. In training drop path (Huang et al. 2016, stochastic depth) zeroes the
     * branch of a sample with probability {@code rate}, and scales the others up.
     */
    static Tensor residual(Tensor x, Tensor branch, double rate, Pass pass) {
        if (!pass.training() || rate == 0) {
            return x.add(branch);
        }
        double keep = 1 - rate;
        Tensor mask = torch.empty(new long[] {branch.size(0), 1, 1, 1}, branch.options(), null).bernoulli_(keep,
                new org.bytedeco.pytorch.GeneratorOptional());
        return torch.addcmul(x, branch, mask.div_(new Scalar(keep)));
    }
}

package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What the step sizes' projection W_dt and the low rank get, where kernels leave these products to LibTorch.
 *
 * @param in     as the kernels had it
 * @param weight W_dt times log2(e), in the type of the tokens; maybe more columns, (4, D, R or more)
 * @param steps  the gradient of log2(e) (W_dt r + b), (4, B L, D), in the type of the tokens
 */
record StepGradients(ScanInputs in, Tensor weight, Tensor steps) {

    private static final double LOG2E = 1 / Math.log(2);
    private static final int PARTS = 16;

    /** With an empty place for what the kernels write. */
    static StepGradients of(ScanInputs in, Tensor weight) {
        long tokens = (long) in.batch() * in.height() * in.width();
        return new StepGradients(in, weight,
                torch.empty(new long[] {DIRECTIONS, tokens, in.channels()}, in.tokens().options(), null));
    }

    /** Of W_dt, (4, D, R), float32. */
    Tensor ofWeight() {
        Tensor lowRank = in.projections().narrow(-1, 0, in.rank()).flatten(0, 2).permute(1, 0, 2);
        // Some images at a time: one product over all tokens would leave most of the GPU idle, one for each takes longer.
        // Each is in the type of the tokens, their sum in float32.
        int parts = in.batch() % PARTS == 0 ? PARTS : in.batch();
        return steps.unflatten(1, parts, -1).transpose(2, 3).matmul(lowRank.unflatten(1, parts, -1))
                .to(ScalarType.Float).sum(1).mul(new Scalar(LOG2E));
    }

    /**
     * Of all projections: of the low rank, before those of B and C.
     *
     * @param matrices (B L, 4, 2 N)
     * @return (B L, 4, R + 2 N)
     */
    Tensor withLowRank(Tensor matrices) {
        Tensor lowRank = torch.bmm(steps, weight.narrow(-1, 0, in.rank())).permute(1, 0, 2);
        return torch.cat(new TensorVector(lowRank.to(matrices.scalar_type()), matrices), -1);
    }
}

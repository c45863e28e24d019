package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import io.audiomamba.torch.CudaModule;
import io.audiomamba.torch.CudaModule.Extent;
import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What becomes of what the kernels on a GPU find in the backward pass. If they are fused, that is all gradients; if not,
 * those of step sizes, and LibTorch makes the products for W_dt and the low rank.
 *
 * @param in     as the kernels had it
 * @param weight W_dt times log2(e), in the type of the tokens; maybe more columns, (4, D, R or more); of no use if fused
 * @param steps  where kernels write the gradient of log2(e) (W_dt r + b), (4, B L, D), in the type of the tokens; null if
 *               fused
 */
record ScanGradients(ScanInputs in, Tensor weight, Tensor steps) {

    private static final double LOG2E = 1 / Math.log(2);
    private static final int PARTS = 16;
    private static final int WARP = 32;
    /** Of a block of {@code deliver}. */
    private static final int WARPS_FOR_PARAMETERS = 16;

    static ScanGradients of(ScanInputs in, Tensor weight, boolean fused) {
        long tokens = (long) in.batch() * in.height() * in.width();
        return new ScanGradients(in, weight, fused
                ? null
                : torch.empty(new long[] {DIRECTIONS, tokens, in.channels()}, in.tokens().options(), null));
    }

    /**
     * All gradients, by the kernel {@code deliver} of {@code parameters.cuh}.
     *
     * @param tokens      the gradient of the tokens
     * @param projections (B L, 4, R + 2 N); if not fused (B L, 4, 2 N), of B and C
     * @param parameters  each block's sums, (blocks, 4, rows, D)
     */
    ScanInputs deliver(CudaModule module, Tensor tokens, Tensor projections, Tensor parameters) {
        boolean fused = steps == null;
        ScanInputs gradients = new ScanInputs(tokens,
                (fused ? projections : withLowRank(projections)).view(Tensors.shape(in.projections())),
                fused ? torch.empty_like(in.dtWeight()) : ofWeight(), torch.empty_like(in.dtBias()),
                torch.empty_like(in.aLogs()), torch.empty_like(in.skip()));
        module.launchEarly("deliver",
                new Extent(Math.ceilDiv(in.channels(), WARP), Math.toIntExact(parameters.size(2)), DIRECTIONS,
                        WARP * WARPS_FOR_PARAMETERS),
                parameters, Math.toIntExact(parameters.size(0)), in.aLogs(), gradients.aLogs(), gradients.skip(),
                gradients.dtBias(), gradients.dtWeight(), in.channels());
        return gradients;
    }

    /** Of W_dt, (4, D, R), float32. */
    private Tensor ofWeight() {
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
    private Tensor withLowRank(Tensor matrices) {
        Tensor lowRank = torch.bmm(steps, weight.narrow(-1, 0, in.rank())).permute(1, 0, 2);
        return torch.cat(new TensorVector(lowRank.to(matrices.scalar_type()), matrices), -1);
    }
}

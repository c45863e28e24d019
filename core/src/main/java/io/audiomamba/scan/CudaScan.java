package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import io.audiomamba.torch.CudaModule;
import io.audiomamba.torch.CudaModule.Extent;
import io.audiomamba.torch.CudaModule.Struct;
import io.audiomamba.torch.Tensors;
import java.util.List;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The fused scan on an NVIDIA GPU; {@code selective_scan.cu} holds the kernels and says how they work. Tokens and
 * projections may be float32, bfloat16 or float16; states and sums are float32.
 */
final class CudaScan implements ScanKernel {

    /** As in {@code selective_scan.cu}. */
    private static final int CHUNK = 64;

    private static final int WARP = 32;
    private static final int MOST_THREADS = 128;

    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public boolean supports(Device device) {
        return device.is_cuda();
    }

    /** The operands as the kernels take them, and how a launch is cut. */
    private record Launch(ScanInputs in, CudaModule module, Struct operands, int threads, int blocks, int chunks) {

        static Launch of(ScanInputs given) {
            ScalarType type = type(given.tokens().scalar_type().intern());
            ScanInputs in = new ScanInputs(given.tokens().to(type).contiguous(),
                    given.projections().to(type).contiguous(), parameter(given.dtWeight()), parameter(given.dtBias()),
                    parameter(given.aLogs()), parameter(given.skip()));
            int threads = Math.min(MOST_THREADS, Math.ceilDiv(in.channels(), WARP) * WARP);
            return new Launch(in, compiled(in, type),
                    new Struct(List.of(in.tensors()), in.height(), in.width(), in.channels()), threads,
                    Math.ceilDiv(in.channels(), threads), Math.ceilDiv(in.height() * in.width(), CHUNK));
        }

        private static Tensor parameter(Tensor tensor) {
            return tensor.to(ScalarType.Float).contiguous();
        }

        /** Blocks over the chunks of {@code images}, or of images and directions. */
        Extent over(int images) {
            return new Extent(blocks, chunks, images, threads);
        }

        /** The states that cross the chunks' borders; behind them, if {@code withSums}, the sums of step sizes. */
        Tensor borders(boolean withSums) {
            return uninitialised((long) in.batch() * DIRECTIONS * chunks * in.channels()
                    * (in.stateSize() + (withSums ? 1 : 0)));
        }

        /** An uninitialised float32 tensor beside the operands. */
        Tensor uninitialised(long... shape) {
            return torch.empty(shape, in.dtBias().options(), null);
        }

        void carry(Tensor borders, Tensor sums, boolean adjoint) {
            module.launch("carry", new Extent(blocks, in.stateSize(), in.batch() * DIRECTIONS, threads), operands,
                    in.batch(), borders, sums, adjoint ? 1 : 0);
        }
    }

    private static CudaModule compiled(ScanInputs in, ScalarType type) {
        return CudaModule.of(CudaScan.class, "selective_scan.cu",
                List.of("N=" + in.stateSize(), "R=" + in.rank(), "TYPE=" + CudaModule.code(type)),
                in.tokens().device().index());
    }

    private static ScalarType type(ScalarType type) {
        return type == ScalarType.BFloat16 || type == ScalarType.Half ? type : ScalarType.Float;
    }

    @Override
    public Result forward(ScanInputs inputs, boolean withBackward) {
        Launch launch = Launch.of(inputs);
        int images = launch.in().batch();
        Tensor borders = launch.borders(true);
        launch.module().launch("forward_local", launch.over(images * DIRECTIONS), launch.operands(), images, borders);
        launch.carry(borders, borders, false);
        Tensor merged = launch.uninitialised(Tensors.shape(inputs.tokens()));
        for (int axis = 0; axis < 2; axis++) {
            launch.module().launch("forward_merged", launch.over(images), launch.operands(), borders, merged, axis,
                    axis);
        }
        return new Result(merged.to(inputs.tokens().scalar_type()), withBackward ? borders : null);
    }

    @Override
    public ScanInputs backward(ScanInputs inputs, Tensor kept, Tensor gradMerged) {
        Launch launch = Launch.of(inputs);
        ScanInputs in = launch.in();
        long images = in.batch();
        long length = (long) in.height() * in.width();
        long states = in.stateSize();
        Tensor grad = gradMerged.to(in.tokens().scalar_type()).contiguous();
        Tensor adjoints = launch.borders(false);
        launch.module().launch("backward_local", launch.over(in.batch() * DIRECTIONS), launch.operands(), grad,
                adjoints);
        launch.carry(adjoints, kept, true);
        Tensor tokens = launch.uninitialised(Tensors.shape(in.tokens()));
        Tensor steps = torch.empty(new long[] {DIRECTIONS, images * length, in.channels()}, in.tokens().options(),
                null);
        Tensor matrices = launch.uninitialised(launch.blocks(), images * length, DIRECTIONS, 2 * states);
        Tensor parameters = launch.uninitialised(images * launch.chunks(), DIRECTIONS, states + 2, in.channels());
        Struct gradients = new Struct(List.of(tokens, steps, matrices, parameters));
        for (int axis = 0; axis < 2; axis++) {
            launch.module().launch("backward_merged", launch.over(in.batch()), launch.operands(), grad, kept, adjoints,
                    gradients, axis, axis);
        }
        return assemble(inputs, launch, tokens, steps, matrices.sum(0), parameters.sum(0));
    }

    /**
     * The rest, which is matrix products: the step sizes' projection, and sums.
     *
     * @param steps      (4, B L, D)
     * @param matrices   (B L, 4, 2 N)
     * @param parameters (4, N + 2, D)
     */
    private static ScanInputs assemble(ScanInputs inputs, Launch launch, Tensor tokens, Tensor steps, Tensor matrices,
            Tensor parameters) {
        ScanInputs in = launch.in();
        long states = in.stateSize();
        Tensor lowRank = in.projections().narrow(-1, 0, in.rank()).flatten(0, 2).permute(1, 0, 2);
        Tensor gradLowRank = torch.bmm(steps, in.dtWeight().to(steps.scalar_type())).permute(1, 0, 2);
        // Image by image: one product over all tokens would leave most of the GPU idle.
        Tensor gradWeight = steps.unflatten(1, in.batch(), -1).transpose(2, 3)
                .matmul(lowRank.unflatten(1, in.batch(), -1)).to(ScalarType.Float).sum(1);
        Tensor projections = torch.cat(new TensorVector(gradLowRank.to(ScalarType.Float), matrices), -1)
                .view(Tensors.shape(in.projections()));
        Tensor gradA = parameters.narrow(1, 0, states).transpose(1, 2).flatten(0, 1);
        ScanInputs gradients = new ScanInputs(tokens, projections, gradWeight, parameters.select(1, states + 1),
                gradA.mul(in.aLogs().exp().neg()), parameters.select(1, states).flatten());
        Tensor[] result = gradients.tensors();
        for (int i = 0; i < result.length; i++) {
            result[i] = result[i].to(inputs.tensors()[i].scalar_type()).contiguous();
        }
        return ScanInputs.of(result);
    }
}

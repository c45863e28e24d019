package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import io.audiomamba.torch.CudaModule;
import io.audiomamba.torch.CudaModule.Extent;
import io.audiomamba.torch.CudaModule.Struct;
import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
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

    private static final int TILES = 4;
    private static final int AXES = 2;
    private static final int WARP = 32;
    private static final int RANK_STEP = 16;
    private static final double LOG2E = 1 / Math.log(2);

    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public boolean supports(Device device) {
        return device.is_cuda();
    }

    /**
     * The operands as the kernels take them, and how a launch is cut.
     *
     * @param weight W_dt times log2(e), (4, D, R), in the type of the tokens
     */
    private record Launch(ScanInputs in, Tensor weight, CudaModule module, Struct operands, int threads, int blocks,
            int chunks) {

        static Launch of(ScanInputs given) {
            ScalarType type = type(given.tokens().scalar_type().intern());
            ScanInputs in = new ScanInputs(given.tokens().to(type).contiguous(),
                    given.projections().to(type).contiguous(), parameter(given.dtWeight()), parameter(given.dtBias()),
                    parameter(given.aLogs()), parameter(given.skip()));
            Tensor weight = in.dtWeight().mul(new Scalar(LOG2E)).to(type);
            List<Tensor> operands = List.of(in.tokens(), in.projections(), padded(weight, type),
                    in.dtBias().mul(new Scalar(LOG2E)), in.aLogs(), in.skip());
            int warps = in.rank() + 2 * in.stateSize() > 70 ? 2 : 3;
            int threads = WARP * Math.min(warps, Math.ceilDiv(in.channels(), WARP));
            return new Launch(in, weight, compiled(in, type),
                    new Struct(operands, in.height(), in.width(), in.channels()), threads,
                    Math.ceilDiv(in.channels(), threads), Math.ceilDiv(in.height() * in.width(), CHUNK));
        }

        private static Tensor parameter(Tensor tensor) {
            return tensor.to(ScalarType.Float).contiguous();
        }

        /** For tensor cores, which 16-bit types are multiplied by, the rank is a multiple of 16. */
        private static Tensor padded(Tensor weight, ScalarType type) {
            long missing = type == ScalarType.Float ? 0 : Math.floorMod(-weight.size(-1), RANK_STEP);
            return torch.constant_pad_nd(weight, new long[] {0, missing}, new Scalar(0)).contiguous();
        }

        /** One float32 for each channel, direction, image and {@code perChunk} of a chunk. */
        Tensor perChunk(long perChunk) {
            return uninitialised(in.batch(), DIRECTIONS, chunks, perChunk, in.channels());
        }

        /** An uninitialised float32 tensor beside the operands. */
        Tensor uninitialised(long... shape) {
            return torch.empty(shape, in.dtBias().options(), null);
        }

        /** An uninitialised tensor beside the tokens, and of their type. */
        Tensor likeTokens(long... shape) {
            return torch.empty(shape, in.tokens().options(), null);
        }

        /** Where axis 0 leaves its part of {@code result}, in float32. */
        Tensor partial(Tensor result) {
            return result.scalar_type().intern() == ScalarType.Float
                    ? result
                    : uninitialised(Tensors.shape(result));
        }

        /** The pass over every chunk by itself. */
        void local(String kernel, Object... arguments) {
            launch(kernel, new Extent(AXES * chunks, blocks, in.batch(), threads), arguments);
        }

        /** The pass along the chunks. */
        void carry(Tensor states, Tensor sums, boolean adjoint) {
            launch("carry", new Extent(DIRECTIONS * in.stateSize(), blocks, in.batch(), threads), states, sums,
                    adjoint ? 1 : 0);
        }

        /** The pass that writes results, axis by axis. */
        void merged(String kernel, Object... arguments) {
            for (int axis = 0; axis < AXES; axis++) {
                launch(kernel, new Extent(chunks, blocks, in.batch(), threads),
                        Stream.concat(Arrays.stream(arguments), Stream.of(axis)).toArray());
            }
        }

        private void launch(String kernel, Extent extent, Object... arguments) {
            module.launch(kernel, extent,
                    Stream.concat(Stream.of(operands), Arrays.stream(arguments)).toArray());
        }

        /** Whether the states that enter each tile are kept for the backward pass, or else each chunk. */
        boolean keepsTiles() {
            return in.stateSize() <= 2;
        }
    }

    /**
     * What the backward pass finds again, in one tensor.
     *
     * @param sums   of step sizes, (B, 4, chunks, 1, D)
     * @param states that enter each tile or chunk, (B, 4, chunks, states, D)
     */
    private record Kept(Tensor sums, Tensor states) {

        static Kept of(Tensor both, Launch launch) {
            long sums = launch.in().batch() * DIRECTIONS * (long) launch.chunks() * launch.in().channels();
            return new Kept(both.narrow(0, 0, sums), both.narrow(0, sums, both.numel() - sums));
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
        long states = launch.in().stateSize();
        boolean keepsTiles = withBackward && launch.keepsTiles();
        Tensor kept = launch.perChunk(1 + states * (keepsTiles ? TILES : 1)).flatten();
        Kept parts = Kept.of(kept, launch);
        Tensor entering = keepsTiles ? launch.perChunk(states) : parts.states();
        launch.local("forward_local", entering, parts.sums());
        launch.carry(entering, parts.sums(), false);
        Tensor merged = launch.likeTokens(Tensors.shape(inputs.tokens()));
        launch.merged("forward_merged", entering, keepsTiles ? parts.states() : null, launch.partial(merged), merged);
        return new Result(merged.to(inputs.tokens().scalar_type()), withBackward ? kept : null);
    }

    @Override
    public ScanInputs backward(ScanInputs inputs, Tensor kept, Tensor gradMerged) {
        Launch launch = Launch.of(inputs);
        ScanInputs in = launch.in();
        Kept parts = Kept.of(kept, launch);
        long tokens = (long) in.batch() * in.height() * in.width();
        long states = in.stateSize();
        Tensor grad = gradMerged.to(in.tokens().scalar_type()).contiguous();
        Tensor adjoints = launch.perChunk(states);
        launch.local("backward_local", grad, adjoints);
        launch.carry(adjoints, parts.sums(), true);
        Tensor gradTokens = launch.likeTokens(Tensors.shape(in.tokens()));
        Tensor steps = launch.likeTokens(DIRECTIONS, tokens, in.channels());
        Tensor matrices = launch.uninitialised(launch.blocks(), tokens, DIRECTIONS, 2 * states);
        Tensor parameters = launch.uninitialised((long) in.batch() * launch.chunks(), DIRECTIONS, states + 2,
                in.channels());
        launch.merged("backward_merged", grad, parts.states(), adjoints,
                new Struct(List.of(launch.partial(gradTokens), gradTokens, steps, matrices, parameters)));
        return assemble(inputs, launch, gradTokens, steps, matrices.sum(0), parameters.sum(0));
    }

    /**
     * The rest, which is matrix products: the step sizes' projection, and sums.
     *
     * @param steps      of W x + b times log2(e), (4, B L, D)
     * @param matrices   (B L, 4, 2 N)
     * @param parameters (4, N + 2, D)
     */
    private static ScanInputs assemble(ScanInputs inputs, Launch launch, Tensor tokens, Tensor steps, Tensor matrices,
            Tensor parameters) {
        ScanInputs in = launch.in();
        long states = in.stateSize();
        Tensor lowRank = in.projections().narrow(-1, 0, in.rank()).flatten(0, 2).permute(1, 0, 2);
        Tensor gradLowRank = torch.bmm(steps, launch.weight()).permute(1, 0, 2);
        // Image by image: one product over all tokens would leave most of the GPU idle.
        Tensor gradWeight = steps.unflatten(1, in.batch(), -1).transpose(2, 3)
                .matmul(lowRank.unflatten(1, in.batch(), -1)).to(ScalarType.Float).sum(1).mul(new Scalar(LOG2E));
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

package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.torch.CudaModule;
import io.audiomamba.torch.CudaModule.Extent;
import io.audiomamba.torch.CudaModule.Struct;
import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The fused scan on an NVIDIA GPU: by patches where {@link PatchScan} suits, else by chunks, whose kernels
 * {@code selective_scan_forward.cu} and {@code selective_scan_backward.cu} hold. Tokens and projections may be float32,
 * bfloat16 or float16; states and sums are float32.
 */
final class CudaScan implements ScanKernel {

    /** Tokens of a tile, and at most of a chunk, which is some tiles. */
    private static final int TILE = 16;
    private static final int LONGEST_CHUNK = 4 * TILE;
    private static final int AXES = 2;
    private static final int WARP = 32;
    private static final int MOST_WARPS = 3;
    private static final int RANK_STEP = 16;
    /** Images in a launch. */
    private static final int MOST_IMAGES = 65535;
    /** In a block's shared memory without asking for more. */
    private static final int MOST_SHARED_BYTES = 48 * 1024;
    /** Above it the gradients of the projection do not fit into the registers of a kernel that does all else. */
    private static final int HIGHEST_FUSED_RANK = 16;
    /** From so many states on their arithmetic costs more than to wait in memory for half a result. */
    private static final int MANY_STATES = 3;
    /** What stands for both axes where a kernel takes the number of one. */
    private static final int BOTH_AXES = AXES;
    /** Images and channels keep a GPU busy if they give each of its multiprocessors so many warps. */
    private static final int BUSY = 8;

    @Override
    public String name() {
        return "cuda";
    }

    @Override
    public boolean supports(Device device) {
        return device.is_cuda();
    }

    /**
     * How tokens and channels are dealt to blocks: the longest chunks for which a block's shared memory suffices, and as many
     * warps as the gradient then has room for. Sizes are those of the structures in {@code passes.cuh} and
     * {@code selective_scan_backward.cu}, which check that they fit.
     *
     * @param chunk tokens
     * @param warps of a block, at most
     */
    record Cut(int chunk, int warps) {

        /** @throws ConfigurationException if not even a tile and a warp find room */
        static Cut of(ScanInputs in, boolean tensorCores) {
            int matrices = 2 * in.stateSize();
            int ofToken = (tensorCores ? (rank(in, true) + 8) * Short.BYTES : in.rank() * Float.BYTES)
                    + matrices * Float.BYTES;
            int lowRank = fuses(in, tensorCores) ? Math.max(in.rank(), 24) : 0;
            int scratch = TILE * Math.max(lowRank + matrices, WARP);
            for (int chunk = LONGEST_CHUNK; chunk >= TILE; chunk /= 2) {
                int places = chunk * Integer.BYTES;
                int table = chunk * ofToken;
                // The gradient has one direction's table, and of each warp a result or what belongs to the states.
                int ofWarp = ((manyStates(in) ? 3 * in.stateSize() : chunk) * WARP + scratch) * Float.BYTES;
                int warps = Math.min(MOST_WARPS, (MOST_SHARED_BYTES - places - table) / ofWarp);
                // Every chunk by itself: both directions' tables.
                if (warps > 0 && places + 2 * table + warps * TILE * WARP * Float.BYTES <= MOST_SHARED_BYTES) {
                    return new Cut(chunk, warps);
                }
            }
            throw new ConfigurationException("On a GPU the scan has no room for " + in.stateSize()
                    + " states of a channel beside a rank of " + in.rank() + "; -D" + ScanKernels.PROPERTY
                    + "=torch computes it, slowly.");
        }

        int tiles() {
            return chunk / TILE;
        }
    }

    /**
     * The operands as the kernels take them, and how a launch is cut.
     *
     * @param weight W_dt times log2(e), (4, D, R), in the type of the tokens; for tensor cores R is rounded up
     * @param fused  whether the kernels find the gradients of the step sizes' projection themselves
     * @param blocks that share the channels
     * @param tiles  of a chunk
     * @param whole  whether a block goes through all chunks of an axis
     */
    private record Launch(ScanInputs in, Tensor weight, boolean fused, CudaModule module, Struct operands,
            int threads, int blocks, int chunks, int tiles, boolean whole) {

        /** @param pass {@code forward} or {@code backward} */
        static Launch of(ScanInputs given, String pass) {
            ScalarType type = type(given.tokens().scalar_type().intern());
            int device = given.tokens().device().index();
            boolean tensorCores = CudaModule.hasTensorCores(type, device);
            ScanInputs in = given.forKernels(type);
            Cut cut = Cut.of(in, tensorCores);
            CudaModule module = CudaModule.of(CudaScan.class, "selective_scan_" + pass + ".cu",
                    definitions(in, cut, CudaModule.code(type), tensorCores), device);
            Tensor weight = torch.empty(new long[] {DIRECTIONS, in.channels(), rank(in, tensorCores)},
                    in.tokens().options(), null);
            Tensor bias = torch.empty_like(in.dtBias());
            module.launch("prepare", Extent.forEach(weight.numel()), in.dtWeight(), in.dtBias(), weight, bias,
                    in.channels());
            int warps = Math.ceilDiv(in.channels(), WARP);
            int threads = Math.min(cut.warps(), warps) * WARP;
            int chunks = Math.ceilDiv(in.height() * in.width(), cut.chunk());
            boolean whole = manyStates(in) && chunks > 1
                    && (long) AXES * in.batch() * warps >= (long) BUSY * module.multiprocessors();
            return new Launch(in, weight, fuses(in, tensorCores), module,
                    new Struct(List.of(in.tokens(), in.projections(), weight, bias, in.aLogs(), in.skip()),
                            in.height(), in.width(), in.channels()),
                    threads, Math.ceilDiv(in.channels(), threads), chunks, cut.tiles(), whole);
        }

        /** So many numbers for each channel, direction, image and chunk. */
        long perChunk(int each) {
            return (long) in.batch() * DIRECTIONS * chunks * each * in.channels();
        }

        /** An uninitialised float32 tensor beside the operands. */
        Tensor uninitialised(long... shape) {
            return torch.empty(shape, in.dtBias().options(), null);
        }

        /** An uninitialised tensor beside the tokens, and of their type. */
        Tensor likeTokens(long... shape) {
            return torch.empty(shape, in.tokens().options(), null);
        }

        /**
         * What enters each chunk, (B, 4, chunks, N, D), by a pass over every chunk by itself and one along the chunks;
         * null if none needs that.
         *
         * @param kernel  of the first pass
         * @param operand of it, after the states
         * @param sums    of step sizes
         */
        Tensor entering(String kernel, Tensor operand, Tensor sums, boolean adjoint) {
            if (!carries()) {
                return null;
            }
            Tensor states = uninitialised(perChunk(in.stateSize()));
            launch(kernel, new Extent(AXES * chunks, blocks, in.batch(), threads), states, operand);
            launch("carry", new Extent(DIRECTIONS * in.stateSize(), blocks, in.batch(), threads), states, sums,
                    adjoint ? 1 : 0);
            return states;
        }

        /** Whether blocks that begin in the middle have to be told what enters there. */
        boolean carries() {
            return !whole && chunks > 1;
        }

        /**
         * The pass that writes a result.
         *
         * @param skipped   what the skip connections lead to the result
         * @param arguments of the kernel, with the place where parts of the result wait
         */
        void merged(String kernel, Tensor result, Tensor skipped, Function<Tensor, Stream<Object>> arguments) {
            if (whole) {
                Tensor partial = uninitialised(AXES * result.numel());
                merged(kernel, AXES, arguments.apply(partial), BOTH_AXES);
                Extent elements = Extent.forEach((long) in.height() * in.width() * in.channels());
                launch("join", new Extent(elements.x(), 1, in.batch(), elements.threads()), partial, skipped, result);
            } else {
                boolean wide = result.scalar_type().intern() == ScalarType.Float;
                Tensor partial = wide ? result : uninitialised(result.numel());
                for (int axis = 0; axis < AXES; axis++) {
                    merged(kernel, chunks, arguments.apply(partial), axis);
                }
            }
        }

        private void merged(String kernel, int parts, Stream<Object> arguments, int axis) {
            launch(kernel, new Extent(parts, blocks, in.batch(), threads),
                    Stream.concat(arguments, Stream.of(axis)).toArray());
        }

        private void launch(String kernel, Extent extent, Object... arguments) {
            module.launch(kernel, extent,
                    Stream.concat(Stream.of(operands), Arrays.stream(arguments)).toArray());
        }
    }

    /** What the kernels are compiled for. */
    static List<String> definitions(ScanInputs in, Cut cut, int type, boolean tensorCores) {
        return List.of("CHUNK=" + cut.chunk(), "TILES=" + cut.tiles(), "WARPS=" + cut.warps(),
                "BOTH_AXES=" + BOTH_AXES, "N=" + in.stateSize(),
                "R=" + in.rank(), "TYPE=" + type, "MANY_STATES=" + (manyStates(in) ? 1 : 0),
                "TENSOR_CORES=" + (tensorCores ? 1 : 0), "FUSED=" + (fuses(in, tensorCores) ? 1 : 0));
    }

    private static boolean manyStates(ScanInputs in) {
        return in.stateSize() >= MANY_STATES;
    }

    /** R as W_dt lies in memory. */
    private static int rank(ScanInputs in, boolean tensorCores) {
        return tensorCores ? Math.ceilDiv(in.rank(), RANK_STEP) * RANK_STEP : in.rank();
    }

    private static boolean fuses(ScanInputs in, boolean tensorCores) {
        return tensorCores && in.rank() <= HIGHEST_FUSED_RANK;
    }

    /**
     * What the backward pass finds again, in one tensor.
     *
     * @param states that enter each tile, (B, 4, chunks, tiles, N, D)
     * @param sums   of step sizes, (B, 4, chunks, D); empty if nothing is carried
     */
    private record Kept(Tensor states, Tensor sums) {

        static long sums(Launch launch) {
            return launch.carries() ? launch.perChunk(1) : 0;
        }

        static Kept of(Tensor both, Launch launch) {
            long states = both.numel() - sums(launch);
            return new Kept(both.narrow(0, 0, states), both.narrow(0, states, sums(launch)));
        }
    }

    private static Tensor zeros(Tensor like) {
        return torch.zeros(Tensors.shape(like), like.options());
    }

    private static ScalarType type(ScalarType type) {
        return type == ScalarType.BFloat16 || type == ScalarType.Half ? type : ScalarType.Float;
    }

    @Override
    public Result forward(ScanInputs inputs, boolean withBackward) {
        if (inputs.batch() > MOST_IMAGES) {
            throw new ConfigurationException("On a GPU the scan takes " + MOST_IMAGES + " images at a time, not "
                    + inputs.batch() + "; make the batch smaller.");
        }
        if (inputs.tokens().numel() == 0) {
            return new Result(zeros(inputs.tokens()), null);
        }
        if (PatchScan.suits(inputs)) {
            return PatchScan.forward(inputs, withBackward);
        }
        Launch launch = Launch.of(inputs, "forward");
        long states = withBackward ? launch.perChunk(launch.tiles() * launch.in().stateSize()) : 0;
        Tensor kept = launch.uninitialised(states + Kept.sums(launch));
        Kept parts = Kept.of(kept, launch);
        Tensor entering = launch.entering("forward_local", parts.sums(), parts.sums(), false);
        Tensor merged = launch.likeTokens(Tensors.shape(inputs.tokens()));
        launch.merged("forward_merged", merged, launch.in().tokens(),
                partial -> Stream.of(entering, withBackward ? parts.states() : null, partial, merged));
        return new Result(merged.to(inputs.tokens().scalar_type()), withBackward ? kept : null);
    }

    @Override
    public ScanInputs backward(ScanInputs inputs, Tensor kept, Tensor gradMerged) {
        if (inputs.tokens().numel() == 0) {
            return inputs.map(CudaScan::zeros);
        }
        if (PatchScan.suits(inputs)) {
            return PatchScan.backward(inputs, kept, gradMerged);
        }
        Launch launch = Launch.of(inputs, "backward");
        ScanInputs in = launch.in();
        Kept parts = Kept.of(kept, launch);
        long tokens = (long) in.batch() * in.height() * in.width();
        long states = in.stateSize();
        Tensor grad = gradMerged.to(in.tokens().scalar_type()).contiguous();
        Tensor adjoints = launch.entering("backward_local", grad, parts.sums(), true);
        Tensor gradTokens = launch.likeTokens(Tensors.shape(in.tokens()));
        boolean fused = launch.fused();
        ScanGradients gradients = ScanGradients.of(in, launch.weight(), fused);
        long[] projected = {launch.blocks(), tokens, DIRECTIONS, 2 * states + (fused ? in.rank() : 0)};
        Tensor partProjections = fused && launch.blocks() == 1
                ? launch.likeTokens(projected)
                : launch.uninitialised(projected);
        Tensor parameters = launch.uninitialised((long) in.batch() * (launch.whole() ? 1 : launch.chunks()), DIRECTIONS,
                2 + states + (fused ? in.rank() : 0), in.channels());
        launch.merged("backward_merged", gradTokens, grad, partial -> Stream.of(grad, parts.states(), adjoints,
                new Struct(Arrays.asList(partial, gradTokens, gradients.steps(), partProjections, parameters))));
        Tensor projections = launch.blocks() == 1 ? partProjections.squeeze(0) : partProjections.sum(0);
        return gradients.deliver(launch.module(), gradTokens, projections, parameters).inTypesOf(inputs);
    }
}

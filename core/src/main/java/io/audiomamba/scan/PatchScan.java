package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import io.audiomamba.torch.CudaModule;
import io.audiomamba.torch.CudaModule.Extent;
import io.audiomamba.torch.CudaModule.Struct;
import io.audiomamba.torch.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The scan on an NVIDIA GPU where the image can be cut into patches and tensor cores hold the whole of the step sizes'
 * projection: in bfloat16 or float16, with one state a channel and an even rank up to 30. {@code patch_scan_forward.cu} and
 * {@code patch_scan_backward.cu} hold the kernels.
 */
final class PatchScan {

    /** As in {@code patch.cuh}, whose sizes in memory are checked. */
    private static final int STEPS = 8;
    private static final int LINES = 16;
    private static final int ROWS = 16;
    private static final int COLUMNS = 8;
    private static final int SLOTS = ROWS * (COLUMNS + 1);
    private static final int CHANNELS = 32;
    private static final int PATCH_WARPS = 4;
    private static final int WARP = 32;
    /**
     * As in {@code borders.cuh}: warps of a block, at most, channels of one, what a thread remembers of a line, in bytes, and its
     * lines at most.
     */
    private static final int BORDER_WARPS = 8;
    private static final int WARP_CHANNELS = 16;
    private static final int REMEMBERED = 64;
    private static final int LONGEST_RUN = 4;
    /** B, C, and no more than 16 columns in all: above, the low rank's gradients do not fit. */
    private static final int HIGHEST_FUSED_RANK = 14;
    /** Above, tables do not, nor do they fill by whole warps. */
    private static final int HIGHEST_RANK = 30;

    /** Of the kernels against time, and along borders with as many warps as there may be. */
    private static final int BLOCKS_A_MULTIPROCESSOR = 2;
    /** Along the second and third axis of a grid. */
    private static final int MOST_BLOCKS = 65_535;
    /** Rows of a channel's gradients before those of W_dt: A, the skip connection, the bias. */
    private static final int BEFORE_RANK = 3;
    /** Bytes that are read at once. */
    private static final int VECTOR = 16;

    private final ScanInputs in;
    private final CudaModule module;
    private final Struct operands;
    /** What kernels know of each channel in each direction; if not fused, (4, D, more than R), it begins with W_dt. */
    private final Tensor prepared;
    private final int sharedBytes;

    /**
     * @param pass        {@code forward} or {@code backward}
     * @param sharedBytes of a block of its kernel over patches
     */
    private PatchScan(ScanInputs given, String pass, int sharedBytes) {
        this.sharedBytes = sharedBytes;
        ScalarType type = given.tokens().scalar_type().intern();
        in = given.forKernels(type);
        List<String> definitions = new ArrayList<>(definitions(in));
        definitions.addAll(List.of("TYPE=" + CudaModule.code(type), "SHARED_BYTES=" + sharedBytes));
        module = CudaModule.of(PatchScan.class, "patch_scan_" + pass + ".cu", definitions,
                given.tokens().device().index());
        prepared = torch.empty(new long[] {DIRECTIONS, in.channels(), ofChannel(in) / Short.BYTES},
                in.tokens().options(), null);
        Tensor skip = uninitialised(in.channels());
        Tensor bordersDone = torch.empty(new long[] {in.batch()},
                in.dtBias().options().dtype(new ScalarTypeOptional(ScalarType.Int)), null);
        module.launchEarly("prepare", Extent.forEach(Math.max(in.dtBias().numel() * inner(in), in.batch())),
                in.dtWeight(), in.dtBias(), in.aLogs(), in.skip(), prepared, skip, bordersDone, in.channels(),
                in.batch());
        operands = new Struct(List.of(in.tokens(), in.projections(), prepared, skip, bordersDone), in.height(),
                in.width(), in.channels());
    }

    /** What the kernels are compiled for, but for the type and the shared memory. */
    static List<String> definitions(ScanInputs in) {
        return List.of("N=1", "FUSED=" + (fused(in) ? 1 : 0), "R=" + in.rank(),
                "BORDER_CHANNELS=" + borderChannels(in));
    }

    /**
     * Whether these operands, which are on a GPU, can be computed so. Depends on nothing but types, shapes and the GPU: the
     * backward pass asks again.
     */
    static boolean suits(ScanInputs in) {
        ScalarType type = in.tokens().scalar_type().intern();
        return (type == ScalarType.BFloat16 || type == ScalarType.Half)
                && CudaModule.hasTensorCores(type, in.tokens().device().index()) && in.stateSize() == 1
                && in.tokens().numel() > 0 && in.rank() > 0 && in.rank() % 2 == 0 && in.rank() <= HIGHEST_RANK
                && in.height() % ROWS == 0 && in.width() % COLUMNS == 0 && in.channels() % CHANNELS == 0
                && Math.max(in.height() / ROWS, in.batch()) <= MOST_BLOCKS
                && in.tokens().numel() <= Integer.MAX_VALUE && in.projections().numel() <= Integer.MAX_VALUE
                && fits(in);
    }

    /** Whether the GPU has the shared memory. */
    static boolean fits(ScanInputs in) {
        int most = CudaModule.mostSharedBytes(in.tokens().device().index());
        return backwardBytes(in) <= most && Borders.of(in).sharedBytes() + Borders.DECLARED <= most;
    }

    static ScanKernel.Result forward(ScanInputs inputs, boolean withBackward) {
        PatchScan scan = new PatchScan(inputs, "forward", forwardBytes(inputs));
        Tensor states = scan.borders("forward_borders");
        Tensor merged = torch.empty_like(scan.in.tokens());
        scan.launch("forward_patches", scan.overPatches(scan.in.width() / COLUMNS, scan.in.height() / ROWS,
                scan.in.batch()), states, merged);
        return new ScanKernel.Result(merged, withBackward ? states : null);
    }

    /** @param states what {@link #forward} kept: the states that enter each line, over ln 2, (B, 4, lines, D) */
    static ScanInputs backward(ScanInputs inputs, Tensor states, Tensor gradMerged) {
        // Before parameters are prepared: kernels may begin early that have only that to wait for.
        Tensor grad = Tensors.aligned(gradMerged.to(inputs.tokens().scalar_type()));
        PatchScan scan = new PatchScan(inputs, "backward", backwardBytes(inputs));
        ScanInputs in = scan.in;
        Tensor adjoints = scan.borders("backward_borders", grad);
        boolean fused = fused(in);
        ScanGradients gradients = ScanGradients.of(in, scan.prepared, fused);
        Tensor gradTokens = torch.empty_like(in.tokens());
        long tokens = (long) in.batch() * in.height() * in.width();
        Tensor projections = torch.empty(new long[] {tokens, DIRECTIONS, 2 + (fused ? in.rank() : 0)},
                in.projections().options(), null);
        int blocks = Math.min(scan.patches(), BLOCKS_A_MULTIPROCESSOR * scan.module.multiprocessors());
        Tensor parameters = torch.empty(
                new long[] {blocks, DIRECTIONS, BEFORE_RANK + (fused ? in.rank() : 0), in.channels()},
                in.dtBias().options(), null);
        scan.launch("backward_patches", scan.overPatches(blocks, 1, 1), grad, states, adjoints,
                new Struct(Arrays.asList(gradTokens, projections, gradients.steps(), parameters)), scan.patches());
        return gradients.deliver(scan.module, gradTokens, projections, parameters).inTypesOf(inputs);
    }

    /**
     * How the kernels that look for what enters lines go along them.
     *
     * @param run   lines that a thread goes along, one after the other
     * @param teams of a block's warps
     */
    record Borders(ScanInputs in, int run, int teams) {

        /** Shared memory that the kernels themselves declare, in bytes. */
        private static final int DECLARED = BORDER_WARPS * WARP_CHANNELS * Float.BYTES;

        static Borders of(ScanInputs in) {
            int run = Math.min(LONGEST_RUN, Math.ceilDiv(lines(in), LINES));
            return new Borders(in, run,
                    Math.min(BORDER_WARPS / team(in), Math.ceilDiv(lines(in), LINES * run)));
        }

        static int team(ScanInputs in) {
            return borderChannels(in) / WARP_CHANNELS;
        }

        int threads() {
            return WARP * team(in) * teams;
        }

        /** What a launch asks for beside {@link #DECLARED}. */
        int sharedBytes() {
            return teams * teamBytes(in) + (run - 1) * BORDER_WARPS * WARP * REMEMBERED;
        }

        /**
         * As many images as a GPU works on at a time: a block goes from one to the next, whose tokens are on their way
         * before it is done with the first.
         */
        Extent extent(int multiprocessors) {
            int parts = in.channels() / borderChannels(in);
            int blocks = BLOCKS_A_MULTIPROCESSOR * multiprocessors * BORDER_WARPS * WARP / threads();
            return new Extent(parts, DIRECTIONS, Math.clamp(blocks / (parts * DIRECTIONS), 1, in.batch()), threads(),
                    sharedBytes());
        }
    }

    /** What enters each line, (B, 4, lines, D): states over ln 2, or adjoints that a kernel makes of {@code operand}. */
    private Tensor borders(String kernel, Tensor... operand) {
        Borders borders = Borders.of(in);
        Tensor entering = uninitialised((long) in.batch() * DIRECTIONS * lines(in) * in.channels());
        launch(kernel, borders.extent(module.multiprocessors()),
                Stream.concat(Stream.of(operand), Stream.of(entering, borders.run(), in.batch())).toArray());
        return entering;
    }

    /** Behind another kernel of this scan. */
    private void launch(String kernel, Extent extent, Object... arguments) {
        module.launchEarly(kernel, extent, Stream.concat(Stream.of(operands), Stream.of(arguments)).toArray());
    }

    private Extent overPatches(int x, int y, int z) {
        return new Extent(x, y, z, PATCH_WARPS * WARP, sharedBytes);
    }

    private int patches() {
        return Math.toIntExact((long) in.batch() * in.height() * in.width() / (ROWS * COLUMNS));
    }

    /** An uninitialised float32 tensor beside the operands. */
    private Tensor uninitialised(long numbers) {
        return torch.empty(new long[] {numbers}, in.dtBias().options(), null);
    }

    private static int lines(ScanInputs in) {
        return in.height() * in.width() / STEPS;
    }

    /** Channels of a block that looks for what enters lines: more read fewer projections, and whole lines of memory. */
    private static int borderChannels(ScanInputs in) {
        return in.channels() % (2 * CHANNELS) == 0 ? 2 * CHANNELS : CHANNELS;
    }

    private static boolean fused(ScanInputs in) {
        return in.rank() <= HIGHEST_FUSED_RANK;
    }

    /** Low rank, B and C, as tensor cores want them. */
    private static int inner(ScanInputs in) {
        int row = in.rank() + 2;
        return row <= 8 ? 8 : Math.ceilDiv(row, 16) * 16;
    }

    // What a block of the patches' kernels has in shared memory; they check it. All four directions' tables; of CHANNELS
    // channels the tokens, twice, and sums in float32; what enters lines and, but for gradients that are not fused, what else a
    // warp needs of its next channels; in the backward pass dL/dy and the low rank's sums or, if not fused, gradients of step
    // sizes.

    static int forwardBytes(ScanInputs in) {
        int ahead = PATCH_WARPS * 2 * (LINES * 8 * Float.BYTES + 8 * weightsOfChannel(in));
        return tables(in) + 2 * slabs() + sums() + ahead;
    }

    static int backwardBytes(ScanInputs in) {
        int entering = PATCH_WARPS * 2 * LINES * 8 * Float.BYTES;
        int ahead = fused(in) ? PATCH_WARPS * 8 * ofChannel(in) : 0;
        int held = inner(in) > 8 ? STEPS * PATCH_WARPS * WARP * VECTOR : 0;
        return tables(in) + 4 * slabs() + sums() + entering + ahead + held;
    }

    /** Of a team of warps that looks for what enters lines: rows and tokens of lines. */
    private static int teamBytes(ScanInputs in) {
        return rows(in) + LINES * (STEPS * borderChannels(in) / 8 + 2) * VECTOR;
    }

    private static int tables(ScanInputs in) {
        return DIRECTIONS * (rows(in) + (LINES + 1) * STEPS / 2 * VECTOR);
    }

    private static int rows(ScanInputs in) {
        return LINES * (STEPS * inner(in) / 8 + 1) * VECTOR;
    }

    /** Bytes that are prepared of a channel in one direction: its weights, A and, if fused, the weights the other way round. */
    private static int ofChannel(ScanInputs in) {
        return weightsOfChannel(in) + (fused(in) ? inner(in) * Short.BYTES : 0);
    }

    private static int weightsOfChannel(ScanInputs in) {
        return inner(in) * Short.BYTES + (fused(in) ? Float.BYTES : VECTOR);
    }

    private static int sums() {
        return CHANNELS / 8 * (2 * (SLOTS + 4) + 2) * VECTOR;
    }

    private static int slabs() {
        return CHANNELS / 8 * (SLOTS + 2) * VECTOR;
    }
}

package io.audiomamba.fused;

import io.audiomamba.torch.CudaModule;
import io.audiomamba.torch.CudaModule.Extent;
import io.audiomamba.torch.Tensors;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Sums of a matrix' columns on a GPU, always in the same order: gradients of biases. LibTorch's take three times as long
 * where there are a million rows. {@code column_sums.cuh} holds what kernels share that make such sums besides.
 */
final class ColumnSums {

    private static final int THREADS = 256;
    /** Vectors side by side in a block. */
    private static final int LANES = 16;
    private static final int VECTOR_BYTES = 16;
    /** Rows are dealt to so many blocks at the most, over all columns. */
    private static final int MOST_BLOCKS = 1056;

    private final Tensor matrix;
    private final int channels;
    private final int rows;

    /** @param matrix (..., C), {@linkplain Tensors#aligned aligned}, on a GPU, not empty */
    ColumnSums(Tensor matrix) {
        this.matrix = matrix;
        channels = Math.toIntExact(matrix.size(-1));
        rows = Math.toIntExact(matrix.numel() / channels);
    }

    /** (C), float32. */
    static Tensor of(Tensor matrix) {
        ColumnSums sums = new ColumnSums(Tensors.aligned(matrix));
        Tensor parts = sums.parts();
        sums.launch("column_sums.cu", "sums", sums.matrix, parts);
        return parts.sum(0);
    }

    /** An uninitialised matrix for the sums of blocks, (blocks, C). */
    Tensor parts() {
        return Tensors.emptyBeside(matrix, ScalarType.Float, extent().y(), channels);
    }

    /** A kernel of a file that includes {@code column_sums.cuh}; its last parameter is the number of rows. */
    void launch(String file, String kernel, Tensor... operands) {
        CudaModule.of(ColumnSums.class, file,
                List.of("CHANNELS=" + channels, "VECTOR=" + vector(), "LANES=" + LANES,
                        "THREADS=" + THREADS,
                        "TYPE=" + CudaModule.code(matrix.scalar_type().intern())),
                matrix.device().index())
                .launch(kernel, extent(), Stream.concat(Stream.of(operands), Stream.of(rows)).toArray());
    }

    private int vector() {
        return Math.min(VECTOR_BYTES / (int) matrix.element_size(), Integer.lowestOneBit(channels));
    }

    private Extent extent() {
        int across = Math.ceilDiv(channels, LANES * vector());
        int down = Math.clamp(Math.ceilDiv(rows, THREADS / LANES), 1, Math.max(1, MOST_BLOCKS / across));
        return new Extent(across, down, 1, THREADS);
    }
}

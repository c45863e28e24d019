package io.audiomamba.fused;

import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.CudaModule;
import io.audiomamba.torch.CudaModule.Extent;
import io.audiomamba.torch.CudaModule.Struct;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A convolution of an image of few channels on a GPU as a product of matrices: the windows become rows (im2col,
 * Chellapilla et al. 2006), which are small for few channels. cuDNN has no kernel of tensor cores for them, and its others
 * want the channels first. {@code im2col.cu} holds the kernels.
 */
public final class Im2colConvolution {

    private static final int THREADS = 256;
    /** Tensor cores want rows of a multiple of so many values. */
    private static final int ALIGNMENT = 8;

    private Im2colConvolution() {}

    /** Whether {@code x} is better convolved here. */
    public static boolean supports(Tensor x) {
        return x.is_cuda() && x.size(-1) < ALIGNMENT && x.numel() > 0;
    }

    /**
     * @param x       (B, H, W, C) with any strides, float32, bfloat16 or float16
     * @param weight  (out, C, kernel, kernel)
     * @param bias    (out), or null
     * @param stride  step of the window
     * @param padding rows and columns of zeros on each side
     * @return (B, H', W', out), contiguous, in the type of x or that of {@linkplain Autocast mixed precision}
     */
    public static Tensor apply(Tensor x, Tensor weight, Tensor bias, long stride, long padding) {
        Windows windows = new Windows(Tensors.shape(x), x.scalar_type().intern(), Autocast.resultType(x),
                (int) weight.size(2), (int) stride, (int) padding);
        Tensor rows;
        try (var _ = new NoGradGuard()) {
            rows = windows.rows(x);
        }
        GradientTape.differentiable(rows, new Tensor[] {x}, new Tensor[0],
                gradient -> new Tensor[] {windows.image(gradient)});
        Tensor matrix = weight.permute(0, 2, 3, 1).flatten(1, -1);
        Tensor padded = torch.constant_pad_nd(matrix, 0, windows.rowSize() - matrix.size(1)).to(windows.type());
        return bias == null
                ? torch.linear(rows, padded)
                : torch.linear(rows, padded, new TensorOptional(bias.to(windows.type())));
    }

    /**
     * @param shape   of the image
     * @param ofImage its type
     * @param type    of the rows
     */
    private record Windows(long[] shape, ScalarType ofImage, ScalarType type, int kernel, int stride, int padding) {

        int rowSize() {
            return Math.ceilDiv(kernel * kernel * (int) shape[3], ALIGNMENT) * ALIGNMENT;
        }

        private int along(int dimension) {
            return Math.floorDiv((int) shape[dimension] + 2 * padding - kernel, stride) + 1;
        }

        /** @param elements of which a block's threads do {@code perBlock} */
        private void launch(String name, long elements, int perBlock, Tensor from, Tensor to, Object... more) {
            CudaModule module = CudaModule.of(Im2colConvolution.class, "im2col.cu",
                    List.of("CHANNELS=" + shape[3], "KERNEL=" + kernel, "STRIDE=" + stride, "PADDING=" + padding,
                            "ROW=" + rowSize(), "VECTOR=" + ALIGNMENT, "IN=" + CudaModule.code(ofImage),
                            "OUT=" + CudaModule.code(type)),
                    from.device().index());
            Struct grid = struct(shape[0], shape[1], shape[2], along(1), along(2));
            module.launch(name, new Extent(Math.toIntExact(Math.ceilDiv(elements, perBlock)), 1, 1, THREADS),
                    Stream.concat(Stream.of(from, to, grid), Stream.of(more)).toArray());
        }

        private static Struct struct(long... numbers) {
            return new Struct(List.of(), LongStream.of(numbers).mapToInt(Math::toIntExact).toArray());
        }

        /** (B, H', W', row). */
        Tensor rows(Tensor image) {
            Tensor rows = Tensors.emptyBeside(image, type, shape[0], along(1), along(2), rowSize());
            launch("im2col", rows.numel() / rowSize(), THREADS / (rowSize() / ALIGNMENT), image, rows,
                    struct(image.stride(0), image.stride(1), image.stride(2), image.stride(3)));
            return rows;
        }

        /** The gradient of the image from that of its rows. */
        Tensor image(Tensor rows) {
            Tensor image = Tensors.emptyBeside(rows, ofImage, shape);
            launch("col2im", image.numel() / shape[3], THREADS, rows.to(type).contiguous(), image);
            return image;
        }
    }
}

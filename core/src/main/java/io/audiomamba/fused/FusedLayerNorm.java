package io.audiomamba.fused;

import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.CudaModule;
import io.audiomamba.torch.CudaModule.Extent;
import io.audiomamba.torch.Tensors;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Layer normalisation over the last dimension (Ba et al. 2016) on a GPU, in one pass over memory each way. LibTorch's
 * gives a block of threads to a row, of which the narrow rows of the first stages leave most idle, and in mixed
 * precision it writes float32. {@code layer_norm.cu} holds the kernels.
 */
public final class FusedLayerNorm {

    private static final int THREADS = 256;
    /**
     * Narrow rows are dealt to so many blocks at the most, wider ones to fewer: what a GPU of 132 multiprocessors holds at
     * once. The backward pass writes a sum for each block.
     */
    private static final int MOST_BLOCKS = 528;
    private static final int NARROW = 192;
    /** Wider rows do not fit into the registers. */
    private static final int MOST_CHANNELS = 1024;

    private FusedLayerNorm() {}

    /** Whether {@code x} can be normalised here. */
    public static boolean supports(Tensor x) {
        return x.is_cuda() && x.size(-1) <= MOST_CHANNELS && x.numel() > 0;
    }

    /**
     * @param x      (..., C), float32, bfloat16 or float16
     * @param shift  (C), float32, what is added to x first, such as the bias of a convolution; or null
     * @param weight (C), float32
     * @param bias   (C), float32
     * @return in the shape of x, and in its type or that of {@linkplain Autocast mixed precision}
     */
    public static Tensor apply(Tensor x, Tensor shift, Tensor weight, Tensor bias, double epsilon) {
        return new Call(Tensors.aligned(x), shift, weight, bias, Autocast.resultType(x), epsilon).tensor();
    }

    /** What {@link #apply} gives, computed again where it is needed again. */
    public static Input again(Tensor x, Tensor weight, Tensor bias, double epsilon) {
        return new Call(Tensors.aligned(x), null, weight, bias, Autocast.resultType(x), epsilon);
    }

    /** The tape keeps all of its tensors for the backward pass. */
    private record Call(Tensor x, Tensor shift, Tensor weight, Tensor bias, ScalarType type, double epsilon)
            implements
                Input {

        private int rows() {
            return Math.toIntExact(x.numel() / x.size(-1));
        }

        private Extent extent() {
            int most = MOST_BLOCKS * NARROW / Math.max(NARROW, (int) x.size(-1));
            return new Extent(Math.min(most, Math.ceilDiv(rows(), THREADS / 32)), 1, 1, THREADS);
        }

        private CudaModule module() {
            return CudaModule.of(FusedLayerNorm.class, "layer_norm.cu",
                    List.of("CHANNELS=" + x.size(-1), "EPSILON=" + (float) epsilon + "f",
                            "IN=" + CudaModule.code(x.scalar_type().intern()), "OUT=" + CudaModule.code(type),
                            "SHIFTED=" + (shift == null ? 0 : 1)),
                    x.device().index());
        }

        @Override
        public Tensor[] sources() {
            return shift == null ? new Tensor[] {x, weight, bias} : new Tensor[] {x, weight, bias, shift};
        }

        @Override
        public Tensor value() {
            Tensor y = Tensors.emptyBeside(x, type, Tensors.shape(x));
            module().launch("forward", extent(), x, shift, weight, bias, y, rows());
            return y;
        }

        @Override
        public Tensor[] gradients(Tensor gradY) {
            Tensor gradX = torch.empty_like(x);
            int parameterCount = shift == null ? 2 : 3;
            Tensor parameters = Tensors.emptyBeside(x, ScalarType.Float, extent().x(), parameterCount, x.size(-1));
            module().launch("backward", extent(), x, shift, weight, Tensors.aligned(gradY.to(type)), gradX,
                    parameters, rows());
            Tensor sums = parameters.sum(0);
            return Stream.concat(Stream.of(gradX), IntStream.range(0, parameterCount).mapToObj(i -> sums.select(0, i)))
                    .toArray(Tensor[]::new);
        }
    }
}

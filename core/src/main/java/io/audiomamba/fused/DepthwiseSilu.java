package io.audiomamba.fused;

import io.audiomamba.torch.CudaModule;
import io.audiomamba.torch.CudaModule.Extent;
import io.audiomamba.torch.CudaModule.Struct;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import java.util.List;
import org.bytedeco.pytorch.MemoryFormatOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.MemoryFormat;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * SiLU of a 3 x 3 depthwise convolution on channels-last tokens, on a GPU, as one operation: the convolved tokens are
 * not written but computed again in the backward pass. {@code depthwise_silu.cu} holds the kernels.
 */
public final class DepthwiseSilu {

    private static final int WARPS = 8;
    private static final int STRIP = 8;
    private static final int TAPS = 9;
    /** Strips are dealt to so many blocks at the most: each reads the weights, and in the backward pass writes a sum. */
    private static final int MOST_BLOCKS = 528;

    private DepthwiseSilu() {}

    /** Whether {@code x} can be convolved here. */
    public static boolean supports(Tensor x) {
        return x.is_cuda() && x.numel() > 0;
    }

    /**
     * @param x      (B, H, W, C), float32, bfloat16 or float16; may be the first channels of wider tokens
     * @param weight (C, 1, 3, 3), float32, contiguous
     * @param bias   (C), float32, or null
     * @return (B, H, W, C), contiguous, in the type of x
     */
    public static Tensor apply(Tensor x, Tensor weight, Tensor bias) {
        Call call = new Call(evenlySpaced(x) ? x : copy(x), weight, bias);
        Tensor y;
        try (var _ = new NoGradGuard()) {
            y = call.forward();
        }
        Tensor[] inputs = bias == null ? new Tensor[] {call.x(), weight} : new Tensor[] {call.x(), weight, bias};
        return GradientTape.differentiable(y, inputs, inputs, call::backward);
    }

    /** Whether tokens follow one another at one distance, from an address on that {@link #atOnce} channels can be read from. */
    private static boolean evenlySpaced(Tensor x) {
        long step = x.stride(2);
        return x.stride(3) == 1 && x.stride(1) == x.size(2) * step && x.stride(0) == x.size(1) * x.stride(1)
                && step % atOnce(x) == 0 && x.data_ptr().address() % (atOnce(x) * x.element_size()) == 0;
    }

    /** Not {@code contiguous()}: that takes any address for good, and any stride of a dimension of size 1. */
    private static Tensor copy(Tensor x) {
        return x.clone(new MemoryFormatOptional(MemoryFormat.Contiguous));
    }

    /** Channels that a lane reads at once. */
    private static int atOnce(Tensor x) {
        return x.size(3) % 2 == 0 ? 2 : 1;
    }

    /** The tape keeps all of its tensors for the backward pass. */
    private record Call(Tensor x, Tensor weight, Tensor bias) {

        private CudaModule module() {
            ScalarType type = x.scalar_type().intern();
            return CudaModule.of(DepthwiseSilu.class, "depthwise_silu.cu",
                    List.of("CHANNELS=" + x.size(3), "TYPE=" + CudaModule.code(type), "WARPS=" + WARPS,
                            "STRIP=" + STRIP,
                            "TAPS=" + TAPS),
                    x.device().index());
        }

        private Struct grid(long step) {
            return new Struct(List.of(), (int) x.size(0), (int) x.size(1), (int) x.size(2), (int) step);
        }

        private Extent extent() {
            long strips = x.size(0) * x.size(1) * Math.ceilDiv(x.size(2), STRIP);
            return new Extent((int) Math.min(MOST_BLOCKS, Math.ceilDiv(strips, WARPS)),
                    (int) Math.ceilDiv(x.size(3), 32 * atOnce(x)), 1, 32 * WARPS);
        }

        Tensor forward() {
            Tensor y = Tensors.emptyBeside(x, x.scalar_type().intern(), Tensors.shape(x));
            module().launch("convolve", extent(), x, weight, bias, y, grid(x.stride(2)), 0);
            return y;
        }

        Tensor[] backward(Tensor gradY) {
            Extent extent = extent();
            Tensor gradConvolved = Tensors.emptyBeside(x, x.scalar_type().intern(), Tensors.shape(x));
            Tensor parameters = Tensors.emptyBeside(x, ScalarType.Float, extent.x(), TAPS + 1, x.size(3));
            module().launch("backward", extent, x, weight, bias, Tensors.aligned(gradY.to(x.scalar_type())),
                    gradConvolved, parameters, grid(x.stride(2)));
            Tensor gradX = torch.empty_like(gradConvolved);
            module().launch("convolve", extent(), gradConvolved, weight, null, gradX, grid(x.size(3)),
                    1);
            Tensor sums = parameters.sum(0);
            Tensor gradWeight = sums.narrow(0, 0, TAPS).t().contiguous().view(Tensors.shape(weight));
            return bias == null
                    ? new Tensor[] {gradX, gradWeight}
                    : new Tensor[] {gradX, gradWeight, sums.select(0, TAPS)};
        }
    }
}

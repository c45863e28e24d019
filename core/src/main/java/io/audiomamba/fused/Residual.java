package io.audiomamba.fused;

import io.audiomamba.torch.CudaModule;
import io.audiomamba.torch.CudaModule.Extent;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The sum of tokens and a residual branch that each image may leave out (drop path), on a GPU. LibTorch reads value by
 * value where a factor belongs to an image, at half the memory's speed. {@code residual.cu} holds the kernels.
 */
public final class Residual {

    private static final int THREADS = 256;
    private static final long MOST_IMAGES = 65535;
    private static final int VECTOR_BYTES = 16;

    private Residual() {}

    /** Whether the sum of {@code x} and {@code branch} can be made here. */
    public static boolean supports(Tensor x, Tensor branch) {
        return x.is_cuda() && x.numel() > 0 && x.size(0) <= MOST_IMAGES
                && x.scalar_type().intern() == branch.scalar_type().intern();
    }

    /**
     * @param x      (B, ...), float32, bfloat16 or float16
     * @param branch in the shape and type of x
     * @param kept   (B), the factor of each image's branch, in the type of x
     * @return x + kept * branch
     */
    public static Tensor apply(Tensor x, Tensor branch, Tensor kept) {
        Call call = new Call(kept.contiguous(), Tensors.shape(x));
        Tensor sum;
        try (var _ = new NoGradGuard()) {
            sum = call.launch("add", Tensors.aligned(x), Tensors.aligned(branch));
        }
        return GradientTape.differentiable(sum, new Tensor[] {x, branch}, new Tensor[] {call.kept()},
                gradient -> new Tensor[] {gradient, call.launch("scale", Tensors.aligned(gradient))});
    }

    /** @param shape of the tokens */
    private record Call(Tensor kept, long[] shape) {

        /** What a kernel makes of {@code operands}. */
        Tensor launch(String kernel, Tensor... operands) {
            ScalarType type = kept.scalar_type().intern();
            Tensor result = Tensors.emptyBeside(kept, type, shape);
            int perImage = Math.toIntExact(result.numel() / shape[0]);
            int vector = Math.min(VECTOR_BYTES / (int) kept.element_size(), Integer.lowestOneBit(perImage));
            CudaModule module = CudaModule.of(Residual.class, "residual.cu",
                    List.of("TYPE=" + CudaModule.code(type), "VECTOR=" + vector), kept.device().index());
            module.launch(kernel, new Extent(Math.ceilDiv(perImage, THREADS * vector), (int) shape[0], 1, THREADS),
                    Stream.concat(Arrays.stream(operands), Stream.of(kept, result, perImage)).toArray());
            return result;
        }
    }
}

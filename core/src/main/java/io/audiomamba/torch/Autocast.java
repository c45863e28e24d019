package io.audiomamba.torch;

import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Automatic mixed precision: weights stay float32, matrix products and what lies between them are computed in a 16-bit
 * type.
 */
public final class Autocast {

    static {
        Natives.loadTorch();
    }

    private Autocast() {}

    /** Runs {@code body} on a GPU in mixed precision with bfloat16, on this thread. */
    public static Tensor bfloat16(Supplier<Tensor> body) {
        return run(DeviceType.CUDA, ScalarType.BFloat16, body);
    }

    /**
     * Runs {@code body} in mixed precision, on this thread.
     *
     * @param device of the tensors; a CPU can do it too, to check what a GPU would do, but not faster
     * @param type   bfloat16 or float16
     */
    public static <T> T run(DeviceType device, ScalarType type, Supplier<T> body) {
        // The cache of converted weights would outlive the step that changes them.
        torch.set_autocast_cache_enabled(false);
        torch.set_autocast_dtype(device, type);
        torch.set_autocast_enabled(device, true);
        try {
            return body.get();
        } finally {
            torch.set_autocast_enabled(device, false);
        }
    }

    /** The type that an operation on {@code x} gives here and now: that of mixed precision, or else of x. */
    public static ScalarType resultType(Tensor x) {
        return x.is_cuda() && torch.is_autocast_enabled(DeviceType.CUDA)
                ? torch.get_autocast_dtype(DeviceType.CUDA).intern()
                : x.scalar_type().intern();
    }
}

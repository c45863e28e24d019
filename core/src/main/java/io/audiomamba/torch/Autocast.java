package io.audiomamba.torch;

import java.util.function.Supplier;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Automatic mixed precision on a GPU: weights stay float32, matrix products and what lies between them are computed in
 * bfloat16.
 */
public final class Autocast {

    static {
        Natives.loadTorch();
    }

    private Autocast() {}

    /** Runs {@code body} in mixed precision, on this thread. */
    public static Tensor bfloat16(Supplier<Tensor> body) {
        // The cache of converted weights would outlive the step that changes them.
        torch.set_autocast_cache_enabled(false);
        torch.set_autocast_dtype(DeviceType.CUDA, ScalarType.BFloat16);
        torch.set_autocast_enabled(DeviceType.CUDA, true);
        try {
            return body.get();
        } finally {
            torch.set_autocast_enabled(DeviceType.CUDA, false);
        }
    }

    /** The type that an operation on {@code x} gives here and now: that of mixed precision, or else of x. */
    public static ScalarType resultType(Tensor x) {
        return x.is_cuda() && torch.is_autocast_enabled(DeviceType.CUDA)
                ? torch.get_autocast_dtype(DeviceType.CUDA).intern()
                : x.scalar_type().intern();
    }
}

package io.audiomamba.golden;

import io.audiomamba.torch.Autocast;
import java.util.Locale;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What a case is computed in: float32, or mixed precision as on a GPU, where tokens and the operands of products are of a
 * 16-bit type, and parameters, states and sums are float32.
 */
public enum Precision {
    FP32(ScalarType.Float, 24), BF16(ScalarType.BFloat16, 8), FP16(ScalarType.Half, 11);

    private final ScalarType type;
    private final double rounding;

    Precision(ScalarType type, int significantBits) {
        this.type = type;
        this.rounding = Math.scalb(1.0, -significantBits);
    }

    /** The largest error of rounding a number to the type, relative to that number. */
    double rounding() {
        return rounding;
    }

    /** Operands of the scan in the type in which the model hands them over. */
    Tensor scanned(Tensor operand) {
        return operand.to(type);
    }

    /** Runs {@code model} in this precision. */
    <T> T run(Device device, Supplier<T> model) {
        return this == FP32 ? model.get() : Autocast.run(device.type(), type, model);
    }

    /** As users write it. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}

package io.audiomamba.model;

import io.audiomamba.scan.ScanKernel;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.Tensor;

/**
 * How a forward pass is to be run.
 *
 * @param kernel   what computes the selective scan
 * @param training whether drop path, dropout and batch statistics act as in training
 * @param tap      shown every named intermediate result, in the model's (B, H, W, C) layout; the tensor is valid
 *                 during the call only
 */
public record Pass(ScanKernel kernel, boolean training, BiConsumer<String, Tensor> tap) {

    private static final BiConsumer<String, Tensor> NOBODY = (name, tensor) -> {};

    /** A pass that nobody watches. */
    public Pass(ScanKernel kernel, boolean training) {
        this(kernel, training, NOBODY);
    }

    /** This pass with names prefixed for a part of the model. */
    Pass within(String part) {
        return tap == NOBODY
                ? this
                : new Pass(kernel, training, (name, tensor) -> tap.accept(part + "." + name, tensor));
    }

    /** Whether anybody wants to see what a faster way would not compute. */
    boolean isWatched() {
        return tap != NOBODY;
    }

    /** Shows {@code tensor} to the tap and returns it. */
    Tensor show(String name, Tensor tensor) {
        tap.accept(name, tensor);
        return tensor;
    }
}

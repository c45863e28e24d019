package io.audiomamba.model;

import io.audiomamba.scan.ScanKernel;
import java.util.function.BiConsumer;
import org.bytedeco.pytorch.Tensor;

/**
 * How a forward pass is to be run.
 *
 * @param kernel   what computes the selective scan
 * @param training whether dropout and batch statistics act as in training
 * @param dropPath what {@link AudioMamba#dropPath} drew, (branches, B), on the model's device; null to keep all
 * @param tap      shown every named intermediate result, in the model's (B, H, W, C) layout; the tensor is valid
 *                 during the call only
 */
public record Pass(ScanKernel kernel, boolean training, Tensor dropPath, BiConsumer<String, Tensor> tap) {

    private static final BiConsumer<String, Tensor> NOBODY = (name, tensor) -> {};

    /** A pass that nobody watches. */
    public Pass(ScanKernel kernel, boolean training) {
        this(kernel, training, null, NOBODY);
    }

    /** This pass, leaving out branches. */
    public Pass withDropPath(Tensor drawn) {
        return new Pass(kernel, training, drawn, tap);
    }

    /** This pass, watched. */
    public Pass withTap(BiConsumer<String, Tensor> watcher) {
        return new Pass(kernel, training, dropPath, watcher);
    }

    /** This pass with names prefixed for a part of the model. */
    Pass within(String part) {
        return tap == NOBODY
                ? this
                : withTap((name, tensor) -> tap.accept(part + "." + name, tensor));
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

package io.audiomamba.train;

import io.audiomamba.model.Parameters;
import java.util.Map;
import java.util.function.Consumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

/** Finds where a computation that ended in something that is not finite went wrong. */
final class Divergence {

    private Divergence() {}

    /**
     * The first tensor with a value that is not finite: of the weights, then of what a repeated forward pass computes in
     * its order, then of the gradients, the head's first as the backward pass reaches them.
     *
     * @param parameters with the gradients of the pass that went wrong
     * @param forward    repeats the forward pass with a tap
     */
    static String firstBadTensor(Parameters parameters,
            Consumer<java.util.function.BiConsumer<String, Tensor>> forward) {
        String[] found = new String[1];
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            for (Map.Entry<String, Tensor> entry : parameters.tensors().entrySet()) {
                if (!isFinite(entry.getValue())) {
                    return "the weights " + entry.getKey();
                }
            }
            forward.accept((name, tensor) -> {
                if (found[0] == null && !isFinite(tensor)) {
                    found[0] = "the activation " + name;
                }
            });
            if (found[0] == null) {
                parameters.tensors().forEach((name, tensor) -> {
                    if (tensor.requires_grad() && !isFinite(tensor.grad())) {
                        found[0] = "the gradient of " + name;
                    }
                });
            }
        }
        return found[0] == null ? "the norm of the gradients" : found[0];
    }

    private static boolean isFinite(Tensor tensor) {
        return tensor.isfinite().all().item_bool();
    }
}

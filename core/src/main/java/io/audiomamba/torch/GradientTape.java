package io.audiomamba.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorBase;
import org.bytedeco.pytorch.TensorTensorHook;
import org.bytedeco.pytorch.VoidTensorHook;

/**
 * Lets an operation that is computed outside LibTorch take part in its automatic differentiation.
 *
 * <p>The presets do not expose LibTorch's own custom functions to Java. What works is a graph of LibTorch's cheapest
 * operations that has the right edges, with hooks that exchange the gradients that flow along them:
 *
 * <pre>
 *   e_i  = in_i.view_as(in_i)                       a node per input, whose hook returns that input's gradient
 *   link = sum over i of e_i.narrow(0, 0, 0).sum()  an exact zero that carries the edges
 *   out  = link.expand(y.sizes()), its data set to y, with a hook that computes all gradients from dL/dout
 * </pre>
 *
 * <p>LibTorch calls the hooks through pointers that it does not own: a tape holds them, and whatever the backward
 * pass needs, until it is closed. So one tape spans one training step, forward and backward:
 *
 * <pre>
 *   try (var _ = new GradientTape(); var _ = new PointerScope()) {
 *       loss(model.forward(x)).backward();
 *       optimizer.step();
 *   }
 * </pre>
 *
 * <p>A tape belongs to the thread that opened it; LibTorch may call the hooks on another thread.
 */
public final class GradientTape implements AutoCloseable {

    /** The gradient of an operation. */
    @FunctionalInterface
    public interface Backward {
        /**
         * @param gradOut dL/dout, in the shape and type of the output
         * @return dL/din for every input, in order, each with its input's shape and type
         */
        Tensor[] gradients(Tensor gradOut);
    }

    private static final ThreadLocal<GradientTape> CURRENT = new ThreadLocal<>();

    static {
        Natives.loadTorch();
    }

    private final GradientTape outer = CURRENT.get();
    private final List<Pointer> held = new ArrayList<>();
    private final List<Operands> recorded = new ArrayList<>();
    /** What a hook returned last on each thread: LibTorch copies it only after the hook has returned. */
    private final Map<Thread, Pointer> returned = new ConcurrentHashMap<>();

    public GradientTape() {
        CURRENT.set(this);
    }

    /**
     * Makes {@code value}, computed from {@code inputs} without a graph, a node of the graph.
     *
     * @param value    the operation's result; nobody else may write to it
     * @param inputs   the operation's inputs; those that require no gradient get none
     * @param kept     what else the backward pass needs; null if nothing
     * @param backward called at most once, in the backward pass; it may use {@code inputs} and {@code kept}, which live
     *                 until then
     * @return {@code value} itself if no input requires a gradient, else a tensor with its data and the graph's edges
     * @throws IllegalStateException if a gradient is required and this thread has no open tape
     */
    public static Tensor differentiable(Tensor value, Tensor[] inputs, Tensor kept, Backward backward) {
        return isNeededFor(inputs) ? current().record(value, inputs, kept, backward) : value;
    }

    /** Whether an operation on {@code inputs} must be differentiable, here and now. */
    public static boolean isNeededFor(Tensor[] inputs) {
        return GradMode.is_enabled() && Arrays.stream(inputs).anyMatch(Tensor::requires_grad);
    }

    private static GradientTape current() {
        GradientTape tape = CURRENT.get();
        if (tape == null) {
            throw new IllegalStateException("a gradient is required but no GradientTape is open on this thread");
        }
        return tape;
    }

    private Tensor record(Tensor value, Tensor[] inputs, Tensor kept, Backward backward) {
        Tensor[] gradients = new Tensor[inputs.length];
        Tensor link = null;
        for (int i = 0; i < inputs.length; i++) {
            if (inputs[i].requires_grad()) {
                Tensor edge = inputs[i].view_as(inputs[i]);
                edge.register_hook(hold(new InputHook(gradients, i)));
                Tensor zero = edge.narrow(0, 0, 0).sum();
                link = link == null ? zero : link.add(zero);
            }
        }
        Tensor out = link.expand(value.sizes());
        out.set_data(value);
        Operands operands = new Operands(inputs, kept);
        recorded.add(operands);
        out.register_hook(hold(new OutputHook(gradients, inputs, operands, backward)));
        return out;
    }

    private <P extends Pointer> P hold(P pointer) {
        pointer.retainReference();
        held.add(pointer);
        return pointer;
    }

    /** Frees the hooks and what they kept. The graph must not be used afterwards. */
    @Override
    public void close() {
        CURRENT.set(outer);
        recorded.forEach(Operands::release);
        recorded.clear();
        held.forEach(Pointer::releaseReference);
        held.clear();
        returned.values().forEach(Pointer::releaseReference);
        returned.clear();
    }

    /** What lives until an operation's gradients are there; then its memory serves those of the next. */
    private static final class Operands {
        private final List<Tensor> tensors;

        Operands(Tensor[] inputs, Tensor kept) {
            tensors = new ArrayList<>(Arrays.asList(inputs));
            if (kept != null) {
                tensors.add(kept);
            }
            tensors.forEach(Tensor::retainReference);
        }

        synchronized void release() {
            tensors.forEach(Tensor::releaseReference);
            tensors.clear();
        }
    }

    private final class OutputHook extends VoidTensorHook {
        private final Tensor[] gradients;
        private final Tensor[] inputs;
        private final transient Operands operands;
        private final transient Backward backward;

        OutputHook(Tensor[] gradients, Tensor[] inputs, Operands operands, Backward backward) {
            this.gradients = gradients;
            this.inputs = inputs;
            this.operands = operands;
            this.backward = backward;
        }

        @Override
        public void call(TensorBase gradOut) {
            try (PointerScope scope = new PointerScope()) {
                scope.attach(gradOut);
                Tensor[] computed = backward.gradients(new Tensor(gradOut));
                for (int i = 0; i < inputs.length; i++) {
                    if (inputs[i].requires_grad()) {
                        gradients[i] = computed[i];
                        gradients[i].retainReference();
                    }
                }
            }
            operands.release();
        }
    }

    private final class InputHook extends TensorTensorHook {
        private final Tensor[] gradients;
        private final int index;

        InputHook(Tensor[] gradients, int index) {
            this.gradients = gradients;
            this.index = index;
        }

        @Override
        public TensorBase call(TensorBase placeholder) {
            placeholder.close();
            Tensor gradient = gradients[index];
            gradients[index] = null;
            Pointer previous = returned.put(Thread.currentThread(), gradient);
            if (previous != null) {
                previous.releaseReference();
            }
            return gradient;
        }
    }
}

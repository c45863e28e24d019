package io.audiomamba.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Edge;
import org.bytedeco.pytorch.FunctionPostHook;
import org.bytedeco.pytorch.FunctionPreHook;
import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Node;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Lets an operation that is computed outside LibTorch take part in its automatic differentiation.
 *
 * <p>The presets do not expose LibTorch's own custom functions to Java. What they expose are the nodes of its graph and
 * hooks on them. So a node of another operation is tied to the inputs and the output; a hook before it takes dL/dout
 * away, without which the node has no gradients of its own to give, and a hook behind it gives the right ones.
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
    private final List<Derivative> derivatives = new ArrayList<>();
    /** What a hook returned last on each thread: LibTorch copies it only after the hook has returned. */
    private final Map<Thread, Pointer> returned = new ConcurrentHashMap<>();

    /** Opens a tape for this thread, in the place of one that is open already until this is closed. */
    public GradientTape() {
        CURRENT.set(this);
    }

    /**
     * Makes {@code value}, computed from {@code inputs} without a graph, a node of the graph.
     *
     * @param value    the operation's result; nobody else may write to it
     * @param inputs   the operation's inputs; those that require no gradient get none
     * @param kept     what the backward pass needs of inputs and else: only this lives until then
     * @param backward called at most once, in the backward pass
     * @return {@code value}, now with the graph's edges if an input requires a gradient
     * @throws IllegalStateException if a gradient is required and this thread has no open tape
     */
    public static Tensor differentiable(Tensor value, Tensor[] inputs, Tensor[] kept, Backward backward) {
        if (isNeededFor(inputs)) {
            current().record(value, inputs, kept, backward);
        }
        return value;
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

    private void record(Tensor value, Tensor[] inputs, Tensor[] kept, Backward backward) {
        Derivative derivative = hold(new Derivative(inputs, kept, backward));
        Delivery delivery = hold(new Delivery(derivative));
        derivatives.add(derivative);
        try (var _ = new PointerScope()) {
            Node node = node(inputs.length);
            for (int i = 0; i < inputs.length; i++) {
                node.set_next_edge(i, inputs[i].requires_grad() ? edge(inputs[i]) : new Edge());
            }
            node.clear_input_metadata();
            torch.create_gradient_edge(value, node);
            node.add_pre_hook(derivative);
            node.add_post_hook(delivery);
        }
    }

    private <P extends Pointer> P hold(P pointer) {
        pointer.retainReference();
        held.add(pointer);
        return pointer;
    }

    /** Any node that has so many gradients, and none if it gets none. */
    private static Node node(int gradients) {
        Tensor empty = Tensors.empty(ScalarType.Float, 0);
        empty.set_requires_grad(true);
        TensorVector empties = new TensorVector(gradients);
        for (int i = 0; i < gradients; i++) {
            empties.put(i, empty);
        }
        return torch.cat(empties, 0).grad_fn();
    }

    /** Where the gradient of {@code input} goes. */
    private static Edge edge(Tensor input) {
        return input.view_as(input).grad_fn().next_edge(0);
    }

    /** Frees the hooks and what they kept. The graph must not be used afterwards. */
    @Override
    public void close() {
        CURRENT.set(outer);
        derivatives.forEach(Derivative::release);
        derivatives.clear();
        held.forEach(Pointer::releaseReference);
        held.clear();
        returned.values().forEach(Pointer::releaseReference);
        returned.clear();
    }

    /** Keeps {@code result} until this thread returns the next one. */
    private TensorVector returning(TensorVector result) {
        result.retainReference();
        Pointer previous = returned.put(Thread.currentThread(), result);
        if (previous != null) {
            previous.releaseReference();
        }
        return result;
    }

    /** The hook before the node: computes the gradients, and passes nothing on. */
    private final class Derivative extends FunctionPreHook {
        private final boolean[] needed;
        private final transient Backward backward;
        /** What lives until the gradients are there; then its memory serves those of the next operation. */
        private final List<Tensor> kept;
        private TensorVector gradients;

        Derivative(Tensor[] inputs, Tensor[] kept, Backward backward) {
            this.backward = backward;
            this.kept = new ArrayList<>(Arrays.asList(kept));
            needed = new boolean[inputs.length];
            for (int i = 0; i < inputs.length; i++) {
                needed[i] = inputs[i].requires_grad();
            }
            this.kept.forEach(Tensor::retainReference);
        }

        synchronized void release() {
            kept.forEach(Tensor::releaseReference);
            kept.clear();
        }

        @Override
        public TensorVector apply(TensorVector gradOut) {
            gradients = new TensorVector(needed.length);
            gradients.retainReference();
            try (var _ = new PointerScope()) {
                Tensor[] computed = backward.gradients(gradOut.get(0));
                for (int i = 0; i < needed.length; i++) {
                    if (needed[i]) {
                        gradients.put(i, computed[i]);
                    }
                }
            }
            release();
            return returning(new TensorVector(1));
        }
    }

    /** The hook behind the node: hands over the gradients. */
    private final class Delivery extends FunctionPostHook {
        private final transient Derivative derivative;

        Delivery(Derivative derivative) {
            this.derivative = derivative;
        }

        @Override
        public TensorVector apply(TensorVector none, TensorVector nothing) {
            TensorVector gradients = returning(derivative.gradients);
            derivative.gradients.releaseReference();
            derivative.gradients = null;
            return gradients;
        }
    }
}

package io.audiomamba.model;

import io.audiomamba.torch.Tensors;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * All tensors of a model under the names of VMamba's official state_dict. A layer declares its tensors in the
 * {@link Scope} that it is given; where their values come from is the {@link Source}'s business. The store owns the
 * tensors until it is closed.
 */
public final class Parameters implements AutoCloseable {

    /**
     * What a layer asks for.
     *
     * @param name        the full official name, such as {@code layers.0.blocks.1.op.A_logs}
     * @param shape       never negative; empty for a scalar
     * @param initializer how a new model fills it
     */
    public record Declaration(String name, long[] shape, Initializer initializer) {

        /** The number of elements. */
        public long size() {
            long size = 1;
            for (long length : shape) {
                size *= length;
            }
            return size;
        }
    }

    /** Where the values come from. */
    @FunctionalInterface
    public interface Source {

        /** A float32 tensor of the declared shape that nobody else writes to. */
        Tensor tensor(Declaration declaration);

        /** A new model. Equal seeds give equal models. */
        static Source random(long seed) {
            Generator generator = torch.make_generator_cpu(seed);
            return declaration -> {
                Tensor tensor = Tensors.empty(ScalarType.Float, declaration.shape());
                declaration.initializer().fill(tensor, generator);
                return tensor;
            };
        }

        /** Shapes without memory: a model to count and describe, not to run. */
        static Source shapesOnly() {
            TensorOptions meta = new TensorOptions(ScalarType.Float)
                    .device(new DeviceOptional(new Device(DeviceType.Meta)));
            return declaration -> torch.empty(declaration.shape(), meta, null);
        }
    }

    static {
        io.audiomamba.torch.Natives.loadTorch();
    }

    private final Source source;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final Set<String> buffers = new LinkedHashSet<>();

    /** A store without tensors, which a model's layers fill with those of {@code source}. */
    public Parameters(Source source) {
        this.source = source;
    }

    /** The scope with the empty prefix. */
    public Scope root() {
        return new Scope("");
    }

    /** Every tensor by name, in the order of declaration. */
    public Map<String, Tensor> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /** Whether an optimiser must leave this tensor alone: a running statistic, not a parameter. */
    public boolean isBuffer(String name) {
        return buffers.contains(name);
    }

    /** The tensors that are no buffers, in the order of declaration. */
    public Map<String, Tensor> trainable() {
        Map<String, Tensor> trainable = new LinkedHashMap<>(tensors);
        trainable.keySet().removeAll(buffers);
        return trainable;
    }

    /** The number of trainable values. */
    public long count() {
        return trainable().values().stream().mapToLong(Tensor::numel).sum();
    }

    /** Moves every tensor; layers that hold them follow. */
    public void to(Device device) {
        try (var _ = new PointerScope()) {
            tensors.values().forEach(tensor -> tensor.set_data(tensor.to(device, tensor.scalar_type())));
        }
    }

    @Override
    public void close() {
        tensors.values().forEach(Tensor::releaseReference);
        tensors.clear();
    }

    /** A prefix of names. */
    public final class Scope {

        private final String prefix;

        private Scope(String prefix) {
            this.prefix = prefix;
        }

        /** The scope {@code prefix.name}. */
        public Scope child(String name) {
            return new Scope(prefix + name + ".");
        }

        /** Declares a trainable tensor. */
        public Tensor parameter(String name, Initializer initializer, long... shape) {
            Declaration declaration = new Declaration(prefix + name, shape, initializer);
            Tensor tensor = source.tensor(declaration);
            tensor.retainReference();
            if (tensors.putIfAbsent(declaration.name(), tensor) != null) {
                throw new IllegalStateException(declaration.name() + " is declared twice");
            }
            return tensor;
        }

        /** Declares a tensor that is saved with the model but not trained. */
        public Tensor buffer(String name, Initializer initializer, long... shape) {
            buffers.add(prefix + name);
            return parameter(name, initializer, shape);
        }
    }
}

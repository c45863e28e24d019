package io.audiomamba.train;

import io.audiomamba.model.Parameters;
import io.audiomamba.torch.Tensors;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * All trainable values of a model in one piece of memory, and their gradients in another, so that the optimiser, the
 * clipping of gradients and the moving average are a few operations for the whole model instead of a few for each of
 * its hundreds of tensors. The model's own tensors become views. Those that decay come first.
 */
public final class FlatParameters implements AutoCloseable {

    private record Part(String name, Tensor tensor) {}

    private final Tensor values;
    private final Tensor gradients;
    private final Tensor rates;
    private final long decayed;

    /** Moves {@code parameters} to {@code device} and makes them views of one tensor there. */
    public FlatParameters(Parameters parameters, Device device) {
        this(parameters, device, _ -> 1);
    }

    /** @param rate of learning of each tensor by its name, relative to the others: 1, or less, or 0 to freeze it */
    FlatParameters(Parameters parameters, Device device, ToDoubleFunction<String> rate) {
        parameters.to(device);
        List<Part> parts = new ArrayList<>();
        List<Part> others = new ArrayList<>();
        parameters.trainable().forEach(
                (name, tensor) -> (decays(name, tensor) ? parts : others).add(new Part(name, tensor)));
        decayed = parts.stream().mapToLong(part -> part.tensor().numel()).sum();
        parts.addAll(others);
        try (var _ = new PointerScope()) {
            TensorOptions options = new TensorOptions(ScalarType.Float).device(new DeviceOptional(device));
            values = Tensors.permanent(torch.zeros(new long[] {parameters.count()}, options));
            gradients = Tensors.permanent(torch.zeros_like(values));
            boolean equal = parts.stream().allMatch(part -> rate.applyAsDouble(part.name()) == 1);
            rates = equal ? null : Tensors.permanent(torch.ones_like(values));
            long position = 0;
            for (Part part : parts) {
                adopt(part.tensor(), position, rate.applyAsDouble(part.name()));
                position += part.tensor().numel();
            }
        }
    }

    /** Makes {@code tensor} a view of the values from {@code position} on. */
    private void adopt(Tensor tensor, long position, double rate) {
        long size = tensor.numel();
        Tensor view = values.narrow(0, position, size).view(Tensors.shape(tensor));
        view.copy_(tensor);
        tensor.set_data(view);
        if (rates != null) {
            rates.narrow(0, position, size).fill_(new Scalar(rate));
        }
        if (rate > 0) {
            tensor.requires_grad_(true);
            tensor.mutable_grad().put(gradients.narrow(0, position, size).view(Tensors.shape(tensor)));
        }
    }

    /** Norms, biases, and the scan's A, D and step size keep their size: decay would change what they do. */
    private static boolean decays(String name, Tensor tensor) {
        return tensor.dim() > 1 && !name.endsWith("A_logs") && !name.endsWith("dt_projs_bias");
    }

    /** All values, float32, one dimension. Whoever changes them changes the model. */
    Tensor values() {
        return values;
    }

    /** The gradients of {@link #values}; what a backward pass computes is added. */
    Tensor gradients() {
        return gradients;
    }

    /** The relative rates of learning of {@link #values}; null if all are 1. */
    Tensor rates() {
        return rates;
    }

    /** How many of the first values decay. */
    long decayed() {
        return decayed;
    }

    @Override
    public void close() {
        values.releaseReference();
        gradients.releaseReference();
        if (rates != null) {
            rates.releaseReference();
        }
    }
}

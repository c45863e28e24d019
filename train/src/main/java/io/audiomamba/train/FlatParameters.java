package io.audiomamba.train;

import io.audiomamba.model.Parameters;
import io.audiomamba.torch.Tensors;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
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

    private final Tensor values;
    private final Tensor gradients;
    private final long decayed;

    /** Moves {@code parameters} to {@code device} and makes them views of one tensor there. */
    public FlatParameters(Parameters parameters, Device device) {
        parameters.to(device);
        List<Tensor> decaying = new ArrayList<>();
        List<Tensor> others = new ArrayList<>();
        for (Map.Entry<String, Tensor> entry : parameters.tensors().entrySet()) {
            if (!parameters.isBuffer(entry.getKey())) {
                (decays(entry.getKey(), entry.getValue()) ? decaying : others).add(entry.getValue());
            }
        }
        decayed = decaying.stream().mapToLong(Tensor::numel).sum();
        decaying.addAll(others);
        try (var _ = new PointerScope()) {
            TensorOptions options = new TensorOptions(ScalarType.Float)
                    .device(new org.bytedeco.pytorch.DeviceOptional(device));
            values = Tensors.permanent(torch.zeros(new long[] {parameters.count()}, options));
            gradients = Tensors.permanent(torch.zeros_like(values));
            long position = 0;
            for (Tensor tensor : decaying) {
                Tensor view = values.narrow(0, position, tensor.numel()).view(Tensors.shape(tensor));
                view.copy_(tensor);
                tensor.set_data(view);
                tensor.requires_grad_(true);
                tensor.mutable_grad().put(gradients.narrow(0, position, tensor.numel()).view(Tensors.shape(tensor)));
                position += tensor.numel();
            }
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

    /** How many of the first values decay. */
    long decayed() {
        return decayed;
    }

    @Override
    public void close() {
        values.releaseReference();
        gradients.releaseReference();
    }
}

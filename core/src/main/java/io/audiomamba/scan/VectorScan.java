package io.audiomamba.scan;

import io.audiomamba.torch.Tensors;
import io.audiomamba.torch.Workers;
import java.lang.foreign.MemorySegment;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The fused scan on a CPU, with the Java Vector API over the tensors' own memory. Vectors run over channels. The work
 * is cut into an image times a block of channels, the same for any number of threads, and partial sums are added in a
 * fixed order: results do not depend on the number of threads, to the bit.
 */
final class VectorScan implements ScanKernel {

    @Override
    public String name() {
        return "vector";
    }

    @Override
    public boolean supports(Device device) {
        return device.is_cpu();
    }

    @Override
    public Result forward(ScanInputs inputs, boolean withBackward) {
        VectorOperands in = new VectorOperands(inputs);
        Tensor merged = Tensors.empty(ScalarType.Float, Tensors.shape(inputs.tokens()));
        Tensor states = withBackward ? Tensors.empty(ScalarType.Float, VectorTile.statesShape(in)) : null;
        MemorySegment y = Tensors.memory(merged);
        MemorySegment kept = withBackward ? Tensors.memory(states) : null;
        Workers.run(VectorTile.tasks(in), task -> new VectorForward(in, task, y, kept).run());
        return new Result(merged.to(inputs.tokens().scalar_type()), states);
    }

    @Override
    public ScanInputs backward(ScanInputs inputs, Tensor kept, Tensor gradMerged) {
        VectorOperands in = new VectorOperands(inputs);
        Tensor grad = gradMerged.to(ScalarType.Float).contiguous();
        VectorGradients gradients = new VectorGradients(in);
        MemorySegment states = Tensors.memory(kept);
        MemorySegment gradY = Tensors.memory(grad);
        Workers.run(VectorTile.tasks(in),
                task -> new VectorBackward(in, task, states, gradY, gradients).run());
        return gradients.merge(inputs);
    }
}

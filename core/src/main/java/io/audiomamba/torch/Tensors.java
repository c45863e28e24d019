package io.audiomamba.torch;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Tensors between Java's memory and LibTorch's, and who frees them. */
public final class Tensors {

    /** What a GPU's thread reads at once, at most. */
    private static final int VECTOR_BYTES = 16;

    static {
        Natives.loadTorch();
    }

    private Tensors() {}

    /**
     * Runs {@code body} in a {@link PointerScope} of its own and hands its result to the scope around the call: all
     * other tensors made inside are freed on return, so that their memory serves the next layer.
     */
    public static Tensor scoped(Supplier<Tensor> body) {
        Tensor result;
        try (var _ = new PointerScope()) {
            result = body.get();
            result.retainReference();
        }
        return handOver(result);
    }

    /** Gives the caller's reference to {@code pointer} to the innermost scope, if there is one. */
    public static <P extends Pointer> P handOver(P pointer) {
        PointerScope scope = PointerScope.getInnerScope();
        if (scope != null) {
            scope.attach(pointer);
            pointer.releaseReference();
        }
        return pointer;
    }

    /** Keeps {@code tensor} from being freed with the scope it was made in: until it is unreachable. */
    public static Tensor permanent(Tensor tensor) {
        tensor.retainReference();
        return tensor;
    }

    /**
     * The memory of a contiguous CPU tensor, without a copy. It is valid while the caller holds {@code tensor}.
     *
     * @throws IllegalArgumentException if the tensor is not contiguous or not in host memory
     */
    @SuppressWarnings("restricted")
    public static MemorySegment memory(Tensor tensor) {
        if (!tensor.is_contiguous() || !tensor.is_cpu()) {
            throw new IllegalArgumentException("a contiguous CPU tensor is needed");
        }
        long bytes = tensor.numel() * tensor.element_size();
        return MemorySegment.ofAddress(tensor.data_ptr().address()).reinterpret(bytes);
    }

    /** A float32 CPU tensor of the given shape with a copy of {@code values} in row-major order. */
    public static Tensor of(float[] values, long... shape) {
        Tensor tensor = empty(ScalarType.Float, shape);
        if (tensor.numel() != values.length) {
            throw new IllegalArgumentException(values.length + " values for a tensor of " + tensor.numel());
        }
        MemorySegment.copy(values, 0, memory(tensor), ValueLayout.JAVA_FLOAT, 0, values.length);
        return tensor;
    }

    /** A float64 CPU tensor of the given shape with a copy of {@code values} in row-major order. */
    public static Tensor of(double[] values, long... shape) {
        Tensor tensor = empty(ScalarType.Double, shape);
        if (tensor.numel() != values.length) {
            throw new IllegalArgumentException(values.length + " values for a tensor of " + tensor.numel());
        }
        MemorySegment.copy(values, 0, memory(tensor), ValueLayout.JAVA_DOUBLE, 0, values.length);
        return tensor;
    }

    /** An uninitialised CPU tensor. */
    public static Tensor empty(ScalarType type, long... shape) {
        return torch.empty(shape, new TensorOptions(type), null);
    }

    /** An uninitialised tensor on the device of {@code beside}. */
    public static Tensor emptyBeside(Tensor beside, ScalarType type, long... shape) {
        return torch.empty(shape, new TensorOptions(type).device(new DeviceOptional(beside.device())), null);
    }

    /** {@code tensor}, contiguous and from an address on that a GPU's kernels can read whole vectors from; if it is, itself. */
    public static Tensor aligned(Tensor tensor) {
        Tensor contiguous = tensor.contiguous();
        return contiguous.data_ptr().address() % VECTOR_BYTES == 0 ? contiguous : contiguous.clone();
    }

    /** The values of a tensor of any floating type and device, in row-major order. */
    public static float[] toFloats(Tensor tensor) {
        try (var _ = new PointerScope()) {
            Tensor host = tensor.detach().cpu().to(ScalarType.Float).contiguous();
            return memory(host).toArray(ValueLayout.JAVA_FLOAT);
        }
    }

    /** The values of a tensor of any floating type and device as doubles, in row-major order. */
    public static double[] toDoubles(Tensor tensor) {
        try (var _ = new PointerScope()) {
            Tensor host = tensor.detach().cpu().to(ScalarType.Double).contiguous();
            return memory(host).toArray(ValueLayout.JAVA_DOUBLE);
        }
    }

    /** The shape of {@code tensor} as a Java array. */
    public static long[] shape(Tensor tensor) {
        long[] shape = new long[(int) tensor.dim()];
        for (int i = 0; i < shape.length; i++) {
            shape[i] = tensor.size(i);
        }
        return shape;
    }

    /** All of {@code first}, then all of {@code more}. */
    public static Tensor[] concat(Tensor[] first, Tensor... more) {
        return Stream.concat(Arrays.stream(first), Arrays.stream(more)).toArray(Tensor[]::new);
    }
}

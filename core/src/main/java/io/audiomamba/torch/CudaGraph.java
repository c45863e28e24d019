package io.audiomamba.torch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * Work on a GPU that is recorded once and then repeated as a whole: thousands of small operations, each of which takes
 * the CPU longer to start than the GPU to do, become one launch.
 *
 * <p>A repetition reads and writes the same memory as the recording: inputs are copied into tensors that it knew, and
 * results lie in tensors that it made. What it took in between went back to LibTorch, which gives it to other work of
 * the same stream, before or after a repetition but never during one: so a tensor that this stream's work makes after the
 * recording holds its values only until the next repetition. What must outlive one is made before the recording, or in
 * another stream. What is recorded must not wait for the GPU, draw
 * random numbers, or take memory from Java's side; it should have run before, so that all kernels are loaded.
 */
public final class CudaGraph implements AutoCloseable {

    private static final MethodHandle BEGIN = CudaDevice.DRIVER.function("cuStreamBeginCapture_v2", ADDRESS, JAVA_INT);
    private static final MethodHandle END = CudaDevice.DRIVER.function("cuStreamEndCapture", ADDRESS, ADDRESS);
    private static final MethodHandle INSTANTIATE = CudaDevice.DRIVER.function("cuGraphInstantiateWithFlags", ADDRESS,
            ADDRESS,
            JAVA_LONG);
    private static final MethodHandle LAUNCH = CudaDevice.DRIVER.function("cuGraphLaunch", ADDRESS, ADDRESS);
    private static final MethodHandle DESTROY = CudaDevice.DRIVER.function("cuGraphDestroy", ADDRESS);
    private static final MethodHandle DESTROY_EXECUTABLE = CudaDevice.DRIVER.function("cuGraphExecDestroy", ADDRESS);

    /** LibTorch's backward pass runs in a thread of its own, and may ask the driver for memory. */
    private static final int RELAXED = 2;

    private final Device device;
    private final long retries;
    private final MemorySegment executable;

    /**
     * Records {@code work}, which does not run now.
     *
     * @param device a GPU, on which this thread computes in a {@link DeviceStream}
     */
    public CudaGraph(Device device, Runnable work) {
        this.device = device;
        retries = retries();
        try (Arena arena = Arena.ofConfined(); var _ = CudaDevice.of(device.index()).use()) {
            MemorySegment graph = arena.allocate(ADDRESS);
            MemorySegment stream = DeviceStream.handle(device.index());
            CudaDevice.check(NativeLibrary.call(BEGIN, stream, RELAXED), "record");
            try {
                int status;
                try {
                    work.run();
                } finally {
                    status = NativeLibrary.call(END, stream, graph);
                }
                CudaDevice.check(status, "record this work");
                MemorySegment result = arena.allocate(ADDRESS);
                CudaDevice.check(NativeLibrary.call(INSTANTIATE, result, graph.get(ADDRESS, 0), 0L),
                        "prepare what was recorded");
                executable = result.get(ADDRESS, 0);
            } finally {
                if (graph.get(ADDRESS, 0).address() != 0) { // not if the recording failed
                    NativeLibrary.call(DESTROY, graph.get(ADDRESS, 0));
                }
            }
        }
    }

    /**
     * Whether it may be launched: not once LibTorch, short of memory, has given memory back to the driver, perhaps that of
     * this recording. That may have happened while it was recorded; and work of another thread may bring it about between this
     * answer and a launch.
     */
    public boolean isValid() {
        return retries == retries();
    }

    private long retries() {
        try (var _ = new PointerScope()) {
            return torch_cuda.getDeviceAllocator(DeviceType.CUDA).getDeviceStats(device.index()).num_alloc_retries();
        }
    }

    /** Begins a repetition, after all that this thread began before. */
    public void launch() {
        try (var _ = CudaDevice.of(device.index()).use()) {
            MemorySegment stream = DeviceStream.handle(device.index());
            CudaDevice.check(NativeLibrary.call(() -> (int) LAUNCH.invokeExact(executable, stream)),
                    "repeat what was recorded");
        }
    }

    @Override
    public void close() {
        NativeLibrary.call(DESTROY_EXECUTABLE, executable);
    }
}

package io.audiomamba.torch;

import java.lang.foreign.MemorySegment;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * A stream of a GPU for all that this thread computes there until it is closed: what other threads compute runs beside
 * it. For a CPU it does nothing.
 */
public final class DeviceStream implements AutoCloseable {

    private final CUDAStream outer;
    private final CUDAStream own;
    private final CudaDevice gpu;
    private final MemorySegment handle;

    /**
     * Opens a stream of {@code device} for this thread, behind what the thread has begun there. To be closed by the same
     * thread.
     */
    public DeviceStream(Device device) {
        if (!device.is_cuda()) {
            outer = null;
            own = null;
            gpu = null;
            handle = null;
            return;
        }
        finish(device);
        gpu = CudaDevice.of(device.index());
        handle = gpu.stream();
        try (var _ = new PointerScope()) {
            outer = torch_cuda.getCurrentCUDAStream(device.index()).retainReference();
            own = CUDAStream.unpack3(handle.address(), device.index(), DeviceType.CUDA).retainReference();
        }
        torch_cuda.setCurrentCUDAStream(own);
    }

    /** The driver's handle of the stream that this thread computes in on GPU {@code index}. */
    static MemorySegment handle(int index) {
        try (var _ = new PointerScope()) {
            // LibTorch's number of a stream that it did not make is the handle, and that of the default one is 0.
            return MemorySegment.ofAddress(torch_cuda.getCurrentCUDAStream((byte) index).id());
        }
    }

    /** Whether this thread computes in a stream of its own. */
    public static boolean isOpen(Device device) {
        return device.is_cuda() && handle(device.index()).address() != 0;
    }

    /** Waits for what this thread has begun on {@code device}. */
    public static void finish(Device device) {
        if (device.is_cuda()) {
            try (var _ = new PointerScope()) {
                torch_cuda.getCurrentCUDAStream(device.index()).synchronize();
            }
        }
    }

    /** Waits for what was begun. The stream itself stays, for others: memory that LibTorch keeps belongs to it. */
    @Override
    public void close() {
        if (own == null) {
            return;
        }
        try {
            own.synchronize();
        } finally {
            torch_cuda.setCurrentCUDAStream(outer);
            own.releaseReference();
            outer.releaseReference();
        }
        gpu.giveBack(handle);
    }
}

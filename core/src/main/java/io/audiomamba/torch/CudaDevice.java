package io.audiomamba.torch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.audiomamba.error.EnvironmentException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Deque;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.function.Supplier;

/** A GPU, as NVIDIA's driver knows it. */
final class CudaDevice {

    /** The driver's library. */
    static final NativeLibrary DRIVER = CudaLibraries.driver();

    private static final MethodHandle GET = DRIVER.function("cuDeviceGet", ADDRESS, JAVA_INT);
    private static final MethodHandle ATTRIBUTE = DRIVER.function("cuDeviceGetAttribute", ADDRESS, JAVA_INT, JAVA_INT);
    private static final MethodHandle NAME = DRIVER.function("cuDeviceGetName", ADDRESS, JAVA_INT, JAVA_INT);
    private static final MethodHandle RETAIN = DRIVER.function("cuDevicePrimaryCtxRetain", ADDRESS, JAVA_INT);
    private static final MethodHandle PUSH_CONTEXT = DRIVER.function("cuCtxPushCurrent_v2", ADDRESS);
    private static final MethodHandle POP_CONTEXT = DRIVER.function("cuCtxPopCurrent_v2", ADDRESS);
    private static final MethodHandle NEW_STREAM = DRIVER.function("cuStreamCreate", ADDRESS, JAVA_INT);

    private static final int LONGEST_NAME = 256;
    private static final int MULTIPROCESSORS = 16;
    private static final int COMPUTE_CAPABILITY_MAJOR = 75;
    private static final int COMPUTE_CAPABILITY_MINOR = 76;
    private static final int MOST_SHARED_BYTES = 97;
    private static final int FIRST_WITH_BFLOAT16 = 8;
    private static final int FIRST_TO_OVERLAP_KERNELS = 9;
    private static final int NON_BLOCKING = 1;

    private static final Map<Integer, CudaDevice> DEVICES = new ConcurrentHashMap<>();

    private final int handle;
    private final MemorySegment context;
    private final Deque<MemorySegment> idleStreams = new ConcurrentLinkedDeque<>();

    /** The time in which a thread uses a GPU. */
    interface Use extends AutoCloseable {
        @Override
        void close();
    }

    /**
     * GPU number {@code index}.
     *
     * @throws EnvironmentException if the driver cannot use it
     */
    static CudaDevice of(int index) {
        return DEVICES.computeIfAbsent(index, CudaDevice::new);
    }

    private CudaDevice(int index) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocate(JAVA_INT);
            check(NativeLibrary.call(GET, number, index), "find GPU " + index);
            handle = number.get(JAVA_INT, 0);
            MemorySegment pointer = arena.allocate(ADDRESS);
            check(NativeLibrary.call(RETAIN, pointer, handle), "use GPU " + index);
            context = pointer.get(ADDRESS, 0);
        }
    }

    /**
     * Lets the driver's functions act on this GPU in this thread, in the context that LibTorch uses too; once that is closed,
     * on the GPU that was LibTorch's current one before.
     */
    Use use() {
        check(NativeLibrary.call(() -> (int) PUSH_CONTEXT.invokeExact(context)), "be used from this thread");
        return () -> NativeLibrary.call(() -> (int) POP_CONTEXT.invokeExact(MemorySegment.NULL));
    }

    /** A stream that does not wait for the default one, and that nobody else has until {@link #giveBack}. */
    MemorySegment stream() {
        MemorySegment idle = idleStreams.poll();
        return idle == null ? newStream() : idle;
    }

    /** Takes back a stream in which all work is done: memory that LibTorch keeps for it serves whoever has it next. */
    void giveBack(MemorySegment stream) {
        idleStreams.push(stream);
    }

    private MemorySegment newStream() {
        try (Arena arena = Arena.ofConfined(); var _ = use()) {
            MemorySegment pointer = arena.allocate(ADDRESS);
            check(NativeLibrary.call(NEW_STREAM, pointer, NON_BLOCKING), "make a stream");
            return pointer.get(ADDRESS, 0);
        }
    }

    /** As NVRTC calls it, such as sm_90. */
    String architecture() {
        return "sm_" + attribute(COMPUTE_CAPABILITY_MAJOR) + attribute(COMPUTE_CAPABILITY_MINOR);
    }

    /** Whether its tensor cores multiply both types of 16 bits with sums in float32: from sm_80 on. */
    boolean multipliesIn16Bits() {
        return attribute(COMPUTE_CAPABILITY_MAJOR) >= FIRST_WITH_BFLOAT16;
    }

    /** Whether a kernel can begin while the one before it ends: from sm_90 on. */
    boolean overlapsKernels() {
        return attribute(COMPUTE_CAPABILITY_MAJOR) >= FIRST_TO_OVERLAP_KERNELS;
    }

    int multiprocessors() {
        return attribute(MULTIPROCESSORS);
    }

    /** Of a block whose kernel asks for it. */
    int mostSharedBytes() {
        return attribute(MOST_SHARED_BYTES);
    }

    private int attribute(int attribute) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment result = arena.allocate(JAVA_INT);
            check(NativeLibrary.call(ATTRIBUTE, result, attribute, handle), "describe a GPU");
            return result.get(JAVA_INT, 0);
        }
    }

    /** Its name, its architecture and what compiles kernels for it. */
    String describe() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocate(LONGEST_NAME);
            check(NativeLibrary.call(NAME, name, LONGEST_NAME, handle), "name a GPU");
            return name.getString(0) + ", " + architecture() + ", kernels compiled by "
                    + CudaCompiler.description();
        }
    }

    /** @throws EnvironmentException saying what the driver cannot do, unless {@code status} is that all went well */
    static void check(int status, Supplier<String> what) {
        if (status != 0) {
            throw new EnvironmentException("The CUDA driver cannot " + what.get() + " (error " + status + ").");
        }
    }

    /** The same, where that is known without effort. */
    static void check(int status, String what) {
        check(status, () -> what);
    }
}

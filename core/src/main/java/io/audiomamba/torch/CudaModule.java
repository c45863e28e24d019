package io.audiomamba.torch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** CUDA C++ kernels on one GPU, compiled at run time, in the stream that LibTorch computes in. */
public final class CudaModule {

    private static final MethodHandle LOAD = CudaDevice.DRIVER.function("cuModuleLoadData", ADDRESS, ADDRESS);
    private static final MethodHandle FUNCTION = CudaDevice.DRIVER.function("cuModuleGetFunction", ADDRESS, ADDRESS,
            ADDRESS);
    private static final MethodHandle ATTRIBUTE = CudaDevice.DRIVER.function("cuFuncGetAttribute", ADDRESS, JAVA_INT,
            ADDRESS);
    private static final MethodHandle SET_ATTRIBUTE = CudaDevice.DRIVER.function("cuFuncSetAttribute", ADDRESS,
            JAVA_INT, JAVA_INT);
    private static final int DECLARED_SHARED_BYTES = 1;
    private static final int MAX_DYNAMIC_SHARED_BYTES = 8;
    private static final MethodHandle LAUNCH = CudaDevice.DRIVER.function("cuLaunchKernelEx", ADDRESS, ADDRESS, ADDRESS,
            ADDRESS);
    private static final StructLayout LAUNCH_CONFIGURATION = MemoryLayout.structLayout(
            MemoryLayout.sequenceLayout(7, JAVA_INT).withName("extent"), MemoryLayout.paddingLayout(4),
            ADDRESS.withName("stream"), ADDRESS.withName("attributes"), JAVA_INT.withName("number of attributes"),
            MemoryLayout.paddingLayout(4));
    private static final StructLayout LAUNCH_ATTRIBUTE = MemoryLayout.structLayout(JAVA_INT.withName("id"),
            MemoryLayout.paddingLayout(4), JAVA_INT.withName("value"), MemoryLayout.paddingLayout(60));
    private static final long STREAM = offset(LAUNCH_CONFIGURATION, "stream");
    private static final long ATTRIBUTES = offset(LAUNCH_CONFIGURATION, "attributes");
    private static final long NUMBER_OF_ATTRIBUTES = offset(LAUNCH_CONFIGURATION, "number of attributes");
    private static final long ATTRIBUTE_ID = offset(LAUNCH_ATTRIBUTE, "id");
    private static final long ATTRIBUTE_VALUE = offset(LAUNCH_ATTRIBUTE, "value");
    private static final int MAY_BEGIN_EARLY = 6;

    /**
     * The extents of a launch: blocks in x, y and z, threads in each, and bytes of shared memory in each besides what
     * the kernel declares.
     */
    public record Extent(int x, int y, int z, int threads, int sharedBytes) {

        private static final int SMALL_BLOCK = 256;

        /** No shared memory but what the kernel declares. */
        public Extent(int x, int y, int z, int threads) {
            this(x, y, z, threads, 0);
        }

        /** A thread for each of {@code elements}, and some that have none. */
        public static Extent forEach(long elements) {
            return new Extent((int) Math.ceilDiv(elements, SMALL_BLOCK), 1, 1, SMALL_BLOCK);
        }
    }

    /** A structure of pointers (null is no memory), then ints, that a kernel takes by value. */
    public record Struct(List<Tensor> pointers, int... numbers) {}

    private record Key(Class<?> owner, String resource, List<String> definitions, int device) {}

    private static final Pattern INCLUDE = Pattern.compile("(?m)^#include \"(.+)\"$");

    private static final Map<Key, CudaModule> MODULES = new ConcurrentHashMap<>();

    private final int index;
    private final CudaDevice device;
    private final boolean overlaps;
    private final MemorySegment module;
    private final Map<String, MemorySegment> functions = new ConcurrentHashMap<>();
    private final Map<String, MemorySegment> functionsWithSharedMemory = new ConcurrentHashMap<>();

    /**
     * Compiles, or finds compiled, a source file with {@code numbers.cuh} before it.
     *
     * @param owner       beside whose class the file is, and what it includes
     * @param definitions macros, such as {@code N=16}
     * @param device      number of the GPU
     * @throws EnvironmentException with one sentence if driver or compiler are missing or do not go together
     */
    public static CudaModule of(Class<?> owner, String resource, List<String> definitions, int device) {
        return MODULES.computeIfAbsent(new Key(owner, resource, definitions, device), key -> new CudaModule(
                text(CudaModule.class, "numbers.cuh") + text(owner, resource), definitions, device));
    }

    /** A source with what it includes, which lies beside it. */
    private static String text(Class<?> owner, String resource) {
        try (InputStream source = owner.getResourceAsStream(resource)) {
            String text = new String(source.readAllBytes(), StandardCharsets.UTF_8);
            return INCLUDE.matcher(text)
                    .replaceAll(include -> Matcher.quoteReplacement(text(owner, include.group(1))));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * What {@code numbers.cuh} calls a type of numbers in memory.
     *
     * @throws IllegalArgumentException if no kernel reads it: it is not float32, bfloat16 or float16
     */
    public static int code(ScalarType type) {
        return switch (type) {
            case Float -> 0;
            case BFloat16 -> 1;
            case Half -> 2;
            default -> throw new IllegalArgumentException("the kernels do not read " + type);
        };
    }

    /**
     * Whether matrices of this type can be multiplied by tensor cores with sums in float32 on GPU number
     * {@code device}, which kernels for bfloat16 and float16 then make use of.
     */
    public static boolean hasTensorCores(ScalarType type, int device) {
        return code(type) != 0 && CudaDevice.of(device).multipliesIn16Bits();
    }

    /** The most shared memory that a block may have on GPU number {@code device}, in bytes. */
    public static int mostSharedBytes(int device) {
        return CudaDevice.of(device).mostSharedBytes();
    }

    private CudaModule(String source, List<String> definitions, int index) {
        this.index = index;
        device = CudaDevice.of(index);
        overlaps = device.overlapsKernels();
        List<String> options = new ArrayList<>(List.of(
                "--gpu-architecture=" + device.architecture(),
                "--std=c++17"));
        definitions.forEach(definition -> options.add("--define-macro=" + definition));
        try (var _ = device.use()) {
            module = CudaCompiler.compiled(source, options, CudaModule::load);
        }
    }

    private static MemorySegment load(byte[] code) {
        Arena arena = Arena.global();
        MemorySegment pointer = arena.allocate(ADDRESS);
        CudaDevice.check(
                NativeLibrary.call(LOAD, pointer,
                        arena.allocate(code.length, 16).copyFrom(MemorySegment.ofArray(code))),
                "load the compiled kernels");
        return pointer.get(ADDRESS, 0);
    }

    /**
     * Starts a kernel; returns before it ends. Operations of LibTorch that come later see its results.
     *
     * @param arguments in the kernel's order: {@link Struct}, {@link Tensor} (its memory), null (no memory) or
     *                  {@link Integer}
     */
    public void launch(String kernel, Extent extent, Object... arguments) {
        launch(false, kernel, extent, arguments);
    }

    /**
     * As {@link #launch}, but from sm_90 on the kernel may begin before the one that was launched last has ended, once all
     * blocks of that one have called {@code letNextBegin} of {@code numbers.cuh}. Each block of the kernel must call {@code
     * awaitPrevious}: before it ends, because those behind rely on it, and before it reads what that one writes or writes
     * what that one uses, if it has not awaited just that in another way.
     */
    public void launchEarly(String kernel, Extent extent, Object... arguments) {
        launch(overlaps, kernel, extent, arguments);
    }

    private void launch(boolean early, String kernel, Extent extent, Object... arguments) {
        try (Arena arena = Arena.ofConfined(); var _ = device.use()) {
            MemorySegment list = arena.allocate(ADDRESS, arguments.length);
            for (int i = 0; i < arguments.length; i++) {
                list.setAtIndex(ADDRESS, i, argument(arena, arguments[i]));
            }
            MemorySegment function = extent.sharedBytes() > 0
                    ? functionsWithSharedMemory.computeIfAbsent(kernel, this::functionWithSharedMemory)
                    : functions.computeIfAbsent(kernel, this::function);
            MemorySegment configuration = configuration(arena, extent, early);
            int status = NativeLibrary
                    .call(() -> (int) LAUNCH.invokeExact(configuration, function, list, MemorySegment.NULL));
            CudaDevice.check(status, () -> "launch " + kernel + " over " + extent);
        }
    }

    private MemorySegment configuration(Arena arena, Extent extent, boolean early) {
        MemorySegment configuration = arena.allocate(LAUNCH_CONFIGURATION);
        int[] numbers = {extent.x(), extent.y(), extent.z(), extent.threads(), 1, 1, extent.sharedBytes()};
        MemorySegment.copy(numbers, 0, configuration, JAVA_INT, 0, numbers.length);
        configuration.set(ADDRESS, STREAM, DeviceStream.handle(index));
        if (early) {
            MemorySegment attribute = arena.allocate(LAUNCH_ATTRIBUTE);
            attribute.set(JAVA_INT, ATTRIBUTE_ID, MAY_BEGIN_EARLY);
            attribute.set(JAVA_INT, ATTRIBUTE_VALUE, 1);
            configuration.set(ADDRESS, ATTRIBUTES, attribute);
            configuration.set(JAVA_INT, NUMBER_OF_ATTRIBUTES, 1);
        }
        return configuration;
    }

    private static long offset(StructLayout layout, String member) {
        return layout.byteOffset(MemoryLayout.PathElement.groupElement(member));
    }

    /** The number of multiprocessors of the GPU. */
    public int multiprocessors() {
        return device.multiprocessors();
    }

    private MemorySegment function(String kernel) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pointer = arena.allocate(ADDRESS);
            CudaDevice.check(NativeLibrary.call(FUNCTION, pointer, module, arena.allocateFrom(kernel)),
                    "find " + kernel);
            return pointer.get(ADDRESS, 0);
        }
    }

    /** Launches may ask for all shared memory that a block can have, less what the kernel declares. */
    private MemorySegment functionWithSharedMemory(String kernel) {
        MemorySegment function = functions.computeIfAbsent(kernel, this::function);
        CudaDevice.check(NativeLibrary.call(SET_ATTRIBUTE, function, MAX_DYNAMIC_SHARED_BYTES,
                device.mostSharedBytes() - declaredSharedBytes(kernel, function)), "give shared memory to " + kernel);
        return function;
    }

    private static int declaredSharedBytes(String kernel, MemorySegment function) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocate(JAVA_INT);
            CudaDevice.check(NativeLibrary.call(ATTRIBUTE, number, DECLARED_SHARED_BYTES, function),
                    "describe " + kernel);
            return number.get(JAVA_INT, 0);
        }
    }

    private static MemorySegment argument(Arena arena, Object argument) {
        return switch (argument) {
            case null -> arena.allocateFrom(JAVA_LONG, 0L);
            case Integer number -> arena.allocateFrom(JAVA_INT, number);
            case Tensor tensor -> arena.allocateFrom(JAVA_LONG, tensor.data_ptr().address());
            case Struct struct -> {
                List<Tensor> pointers = struct.pointers();
                int bytes = Math
                        .toIntExact(JAVA_LONG.byteSize() * (pointers.size() + (struct.numbers().length + 1) / 2));
                MemorySegment memory = arena.allocate(bytes, JAVA_LONG.byteAlignment());
                for (int i = 0; i < pointers.size(); i++) {
                    Tensor pointer = pointers.get(i);
                    memory.setAtIndex(JAVA_LONG, i, pointer == null ? 0 : pointer.data_ptr().address());
                }
                MemorySegment.copy(struct.numbers(), 0, memory, JAVA_INT, JAVA_LONG.byteSize() * pointers.size(),
                        struct.numbers().length);
                yield memory;
            }
            default -> throw new IllegalArgumentException("a kernel cannot take a " + argument.getClass());
        };
    }
}

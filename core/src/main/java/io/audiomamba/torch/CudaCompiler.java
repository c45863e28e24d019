package io.audiomamba.torch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.audiomamba.error.EnvironmentException;
import io.audiomamba.file.Sha256;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Function;

/**
 * Turns CUDA C++ into machine code with NVRTC, NVIDIA's compiler as a library: no compiler need be installed. Results
 * are cached on disk by source, options and version of the compiler.
 */
final class CudaCompiler {

    private static final NativeLibrary LIBRARY = CudaLibraries.compiler();
    private static final MethodHandle VERSION = LIBRARY.function("nvrtcVersion", ADDRESS, ADDRESS);
    private static final MethodHandle CREATE = LIBRARY.function("nvrtcCreateProgram", ADDRESS, ADDRESS, ADDRESS,
            JAVA_INT,
            ADDRESS, ADDRESS);
    private static final MethodHandle COMPILE = LIBRARY.function("nvrtcCompileProgram", ADDRESS, JAVA_INT, ADDRESS);
    private static final MethodHandle LOG_SIZE = LIBRARY.function("nvrtcGetProgramLogSize", ADDRESS, ADDRESS);
    private static final MethodHandle LOG = LIBRARY.function("nvrtcGetProgramLog", ADDRESS, ADDRESS);
    private static final MethodHandle CODE_SIZE = LIBRARY.function("nvrtcGetCUBINSize", ADDRESS, ADDRESS);
    private static final MethodHandle CODE = LIBRARY.function("nvrtcGetCUBIN", ADDRESS, ADDRESS);
    private static final MethodHandle DESTROY = LIBRARY.function("nvrtcDestroyProgram", ADDRESS);

    private CudaCompiler() {}

    /** The compiler and its version, such as {@code libnvrtc.so.13 13.0}. */
    static String description() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment major = arena.allocate(JAVA_INT);
            MemorySegment minor = arena.allocate(JAVA_INT);
            NativeLibrary.call(VERSION, major, minor);
            return LIBRARY.name() + " " + major.get(JAVA_INT, 0) + "." + minor.get(JAVA_INT, 0);
        }
    }

    /**
     * What {@code loader} makes of machine code for {@code options}, which name the architecture.
     *
     * @param loader throws an {@link EnvironmentException} for code that cannot be loaded
     * @throws EnvironmentException with the compiler's first complaint if it cannot be made, or that of {@code loader}
     */
    static <T> T compiled(String source, List<String> options, Function<byte[], T> loader) {
        String key = Sha256.of(String.join("\n", description(), options.toString(), source));
        return new CudaCache(Natives.cacheFolder().map(folder -> folder.resolve("audiomamba-cuda"))).get(key,
                () -> compileAnew(source, options), loader);
    }

    private static byte[] compileAnew(String source, List<String> options) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = arena.allocate(ADDRESS);
            check(NativeLibrary.call(CREATE, handle, arena.allocateFrom(source), MemorySegment.NULL, 0,
                    MemorySegment.NULL,
                    MemorySegment.NULL), "create a program");
            MemorySegment program = handle.get(ADDRESS, 0);
            try {
                MemorySegment list = arena.allocate(ADDRESS, options.size());
                for (int i = 0; i < options.size(); i++) {
                    list.setAtIndex(ADDRESS, i, arena.allocateFrom(options.get(i)));
                }
                if (NativeLibrary.call(COMPILE, program, options.size(), list) != 0) {
                    String log = new String(content(arena, program, LOG_SIZE, LOG), StandardCharsets.UTF_8);
                    throw new EnvironmentException(description() + " cannot compile kernels for " + options + ": "
                            + complaint(log) + ".");
                }
                return content(arena, program, CODE_SIZE, CODE);
            } finally {
                NativeLibrary.call(DESTROY, handle);
            }
        }
    }

    /** The first line of {@code log} that is no warning. */
    static String complaint(String log) {
        return log.lines().filter(line -> line.contains("error")).findFirst()
                .or(() -> log.lines().findFirst()).orElse("no reason given");
    }

    private static byte[] content(Arena arena, MemorySegment program, MethodHandle size, MethodHandle getter) {
        MemorySegment length = arena.allocate(JAVA_LONG);
        check(NativeLibrary.call(size, program, length), "say how large its result is");
        MemorySegment content = arena.allocate(length.get(JAVA_LONG, 0));
        check(NativeLibrary.call(getter, program, content), "hand out its result");
        return content.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
    }

    private static void check(int status, String what) {
        if (status != 0) {
            throw new EnvironmentException(LIBRARY.name() + " cannot " + what + " (error " + status + ").");
        }
    }
}

package io.audiomamba.torch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;

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
     * Machine code for {@code options}, which name the architecture.
     *
     * @throws EnvironmentException with the compiler's first complaint if it cannot be made
     */
    static byte[] compile(String source, List<String> options) {
        Path cached = Path.of(Natives.cacheFolder(), "audiomamba-cuda", key(source, options) + ".cubin");
        try {
            return Files.readAllBytes(cached);
        } catch (IOException _) {
            byte[] code = compileAnew(source, options);
            keep(cached, code);
            return code;
        }
    }

    private static String key(String source, List<String> options) {
        try {
            String all = String.join("\n", description(), options.toString(), source);
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(all.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(hash);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    /** A cache that cannot be written only costs the compiler's time again. */
    private static void keep(Path cached, byte[] code) {
        try {
            Files.createDirectories(cached.getParent());
            Path temporary = Files.createTempFile(cached.getParent(), "new", ".cubin");
            Files.write(temporary, code);
            Files.move(temporary, cached, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException _) {
            return;
        }
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
                            + log.lines().findFirst().orElse("no reason given") + ".");
                }
                return content(arena, program, CODE_SIZE, CODE);
            } finally {
                NativeLibrary.call(DESTROY, handle);
            }
        }
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

package io.audiomamba.torch;

import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.global.torch;

/**
 * Loads the native libraries in the one order and with the one set of settings that works. Every class that touches
 * a preset (LibTorch or FFmpeg) calls one of these methods first; both are idempotent and thread-safe.
 */
public final class Natives {

    /** More would not fit the libraries' tables, nor serve anything. */
    public static final int MOST_THREADS = 256;

    /** 0: OpenBLAS' own choice. */
    private static volatile int blasThreads;

    private Natives() {}

    /** Settings that JavaCPP reads when its first class is initialised. */
    private static void prepare() {
        Preparation.run();
    }

    /** Makes LibTorch usable, or says in one sentence why it is not. Call before any LibTorch class. */
    public static void loadTorch() {
        prepare();
        if (TorchLibrary.FAILURE != null) {
            throw new EnvironmentException(TorchLibrary.FAILURE);
        }
    }

    /** Makes FFmpeg usable, or says in one sentence why it is not. Call before any FFmpeg class. */
    public static void loadFfmpeg() {
        prepare();
        if (FfmpegLibrary.FAILURE != null) {
            throw new EnvironmentException(FfmpegLibrary.FAILURE);
        }
    }

    /**
     * How many threads one operation uses, LibTorch's own, those of its matrix products and those of the scan.
     *
     * @throws IllegalArgumentException if {@code threads} is not in 1 to {@value #MOST_THREADS}
     */
    public static void setThreads(int threads) {
        if (threads < 1 || threads > MOST_THREADS) {
            throw new IllegalArgumentException(threads + " threads, not 1 to " + MOST_THREADS);
        }
        loadTorch();
        torch.set_num_threads(threads);
        setBlasThreads(threads);
    }

    /** How many threads OpenBLAS uses in one product, for all threads of this process, from now on. */
    public static void setBlasThreads(int threads) {
        if (blasThreads != threads) {
            openblas.blas_set_num_threads(threads);
            blasThreads = threads;
        }
    }

    private static final class Preparation {

        static {
            // Without these two, JavaCPP's accounting of memory makes small operations 2 to 5 times slower.
            System.setProperty("org.bytedeco.javacpp.maxPhysicalBytes", "0");
            System.setProperty("org.bytedeco.javacpp.maxBytes", "0");
            if (System.getenv("OMP_WAIT_POLICY") == null) {
                setEnvironment("OMP_WAIT_POLICY", "passive");
            }
        }

        static void run() {}

        /**
         * Sets a variable of this process. libgomp reads OMP_WAIT_POLICY when it is loaded; by default its threads
         * spin and fight the threads of OpenBLAS, which costs matrix products more than half of their speed.
         */
        @SuppressWarnings("restricted")
        private static void setEnvironment(String name, String value) {
            Linker linker = Linker.nativeLinker();
            linker.defaultLookup().find("setenv").ifPresent(setenv -> {
                try (Arena arena = Arena.ofConfined()) {
                    linker.downcallHandle(setenv,
                            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.ADDRESS,
                                    ValueLayout.JAVA_INT))
                            .invoke(arena.allocateFrom(name), arena.allocateFrom(value), 0);
                } catch (Throwable e) {
                    throw new IllegalStateException("setenv " + name, e);
                }
            });
        }
    }

    private static final class FfmpegLibrary {

        /** Null when FFmpeg is loaded, else one sentence. */
        static final String FAILURE = failureOf("FFmpeg", () -> {
            Loader.load(org.bytedeco.ffmpeg.global.avformat.class);
            Loader.load(org.bytedeco.ffmpeg.global.swresample.class);
        }, "");
    }

    /**
     * Null if {@code library} could be loaded, else one sentence.
     *
     * @param needs what this build of it needs beside a folder to be unpacked to
     */
    private static String failureOf(String library, Runnable loading, String needs) {
        try {
            loading.run();
            return null;
        } catch (LinkageError | RuntimeException e) {
            Throwable cause = e;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            return library + " cannot be loaded on " + Loader.getPlatform() + " (" + cause.getMessage() + "): " + needs
                    + "it is unpacked to "
                    + cacheFolder().map(Path::toString).orElse("no folder, since none can be written to,")
                    + " and needs 1 GB of room there; -Dorg.bytedeco.javacpp.cachedir=FOLDER names another.";
        }
    }

    /** Whether LibTorch's build for GPUs, of the profile {@code gpu}, is on the class path. */
    static boolean isBuiltForGpus() {
        return TorchLibrary.FOR_GPUS;
    }

    /** Where the native libraries are unpacked to: the first folder of a few that can be written to, if one can. */
    public static Optional<Path> cacheFolder() {
        prepare();
        try {
            return Optional.of(Loader.getCacheDir().toPath());
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private static final class TorchLibrary {

        /** What the folder of the build for GPUs ends with. */
        private static final String GPU = "-gpu";

        static final boolean FOR_GPUS = torch.class
                .getResource("/org/bytedeco/pytorch/" + Loader.getPlatform() + GPU) != null;

        /** Null when LibTorch is loaded, else one sentence. */
        static final String FAILURE = failureOf("LibTorch", TorchLibrary::load,
                FOR_GPUS
                        ? "this build for GPUs needs the libraries of CUDA 13 and cuDNN 9, found by LD_LIBRARY_PATH or"
                                + " ldconfig (build without -Pgpu to do without them); "
                        : "");

        private static void load() {
            unpackOnLinux();
            Loader.load(torch.class);
        }

        /**
         * A libtorch.so of the system would be found before JavaCPP has unpacked libtorch_cpu.so, and the mixture
         * crashes the JVM: ours are unpacked first.
         */
        private static void unpackOnLinux() {
            String platform = Loader.getPlatform();
            // pathsFirst: somebody has unpacked the libraries already and says where.
            if (!platform.startsWith("linux") || Boolean.getBoolean("org.bytedeco.javacpp.pathsFirst")) {
                return;
            }
            for (String library : List.of("libc10.so", "libtorch_cpu.so", "libtorch.so")) {
                String resource = "/org/bytedeco/pytorch/" + platform + (FOR_GPUS ? GPU : "") + "/" + library;
                try {
                    if (Loader.cacheResource(org.bytedeco.pytorch.presets.torch.class, resource) == null) {
                        throw new IllegalStateException("the dependency org.bytedeco:pytorch with the classifier "
                                + platform + " is not on the class path; published are linux-x86_64, macosx-arm64,"
                                + " macosx-x86_64 and windows-x86_64");
                    }
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            }
        }
    }
}

package io.audiomamba.torch;

import io.audiomamba.error.EnvironmentException;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.bytedeco.javacpp.Loader;

/**
 * Loads the native libraries in the one order and with the one set of settings that works. Every class that touches
 * a preset (LibTorch or FFmpeg) calls one of these methods first; both are idempotent and thread-safe.
 */
public final class Natives {

    private Natives() {}

    /** Settings that JavaCPP reads when its first class is initialised. Call before any FFmpeg class. */
    public static void prepare() {
        Preparation.run();
    }

    /** Makes LibTorch usable, or says in one sentence why it is not. Call before any LibTorch class. */
    public static void loadTorch() {
        prepare();
        if (TorchLibrary.FAILURE != null) {
            throw new EnvironmentException(TorchLibrary.FAILURE);
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

    private static final class TorchLibrary {

        /** Null when LibTorch is loaded, else one sentence. */
        static final String FAILURE = load();

        private static String load() {
            String platform = Loader.getPlatform();
            try {
                // A libtorch.so of the system would be found before JavaCPP has unpacked libtorch_cpu.so, and the
                // mixture crashes the JVM: unpack ours first.
                if (platform.startsWith("linux")) {
                    for (String library : List.of("libc10.so", "libtorch_cpu.so", "libtorch.so")) {
                        File unpacked = Loader.cacheResource(org.bytedeco.pytorch.presets.torch.class,
                                "/org/bytedeco/pytorch/" + platform + "/" + library);
                        if (unpacked == null) {
                            return "LibTorch for " + platform + " is not on the class path: add the dependency "
                                    + "org.bytedeco:pytorch with the classifier " + platform
                                    + " (published: linux-x86_64, macosx-arm64, macosx-x86_64, windows-x86_64).";
                        }
                    }
                }
                Loader.load(org.bytedeco.pytorch.global.torch.class);
                return null;
            } catch (IOException e) {
                return "The native libraries cannot be unpacked (" + e.getMessage()
                        + "): name a writable folder with 1 GB of room by -Dorg.bytedeco.javacpp.cachedir=FOLDER.";
            } catch (LinkageError e) {
                return "LibTorch cannot be loaded on " + platform + ": " + e.getMessage();
            }
        }
    }
}

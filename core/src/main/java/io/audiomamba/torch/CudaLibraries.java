package io.audiomamba.torch;

import java.util.Objects;
import java.util.stream.Stream;

/** NVIDIA's libraries that kernels of our own need, beside those that LibTorch loads. */
final class CudaLibraries {

    private CudaLibraries() {}

    /** The driver. */
    static NativeLibrary driver() {
        return NativeLibrary.firstOf("libcuda.so.1", "nvcuda.dll");
    }

    /** NVRTC, the compiler. */
    static NativeLibrary compiler() {
        return NativeLibrary.firstOf("libnvrtc.so.13", "libnvrtc.so", "nvrtc64_130_0.dll");
    }

    /** Which of them this machine lacks, in one sentence; null if none. */
    static String lack() {
        return Stream.of(driver(), compiler()).map(NativeLibrary::lack).filter(Objects::nonNull).findFirst()
                .orElse(null);
    }
}

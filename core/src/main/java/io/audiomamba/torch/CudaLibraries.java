package io.audiomamba.torch;

import io.audiomamba.error.EnvironmentException;

/** NVIDIA's libraries that kernels of our own need, beside those that LibTorch loads. */
final class CudaLibraries {

    private CudaLibraries() {}

    /**
     * The driver.
     *
     * @throws EnvironmentException if there is none
     */
    static NativeLibrary driver() {
        return NativeLibrary.firstOf("libcuda.so.1", "nvcuda.dll");
    }

    /**
     * NVRTC, the compiler.
     *
     * @throws EnvironmentException if there is none
     */
    static NativeLibrary compiler() {
        return NativeLibrary.firstOf("libnvrtc.so.13", "libnvrtc.so", "nvrtc64_130_0.dll");
    }

    /** Which of them this machine lacks, in one sentence; null if none. */
    static String lack() {
        try {
            driver();
            compiler();
            return null;
        } catch (EnvironmentException e) {
            return e.getMessage();
        }
    }
}

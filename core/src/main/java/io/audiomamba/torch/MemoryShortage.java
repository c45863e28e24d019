package io.audiomamba.torch;

import io.audiomamba.error.EnvironmentException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** LibTorch says on many lines that a device has no memory left; users want one. */
public final class MemoryShortage {

    /** What LibTorch, CUDA and cuBLAS say. */
    private static final Pattern ON_GPU = Pattern
            .compile("CUDA(?: error:)? out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED");
    private static final Pattern ON_CPU = Pattern.compile("DefaultCPUAllocator: (?:can't allocate|not enough) memory");
    private static final Pattern GPU = Pattern.compile("GPU (\\d+)");
    private static final Pattern WANTED = Pattern.compile("(?i)tried to allocate ([\\d.]+ \\w+)");

    private MemoryShortage() {}

    /**
     * What to throw in the place of {@code e}: an {@link EnvironmentException} with one sentence if it says that a
     * device has no memory left, else {@code e} itself.
     */
    public static RuntimeException translated(RuntimeException e) {
        String message = String.valueOf(e.getMessage());
        if (ON_GPU.matcher(message).find()) {
            Matcher gpu = GPU.matcher(message);
            String device = gpu.find() ? "cuda:" + gpu.group(1) : "cuda";
            return new EnvironmentException("The memory of the device " + device + " does not suffice"
                    + wanted(message) + "; a smaller batch helps, or the end of other programs on it, or --device cpu.",
                    e);
        }
        return ON_CPU.matcher(message).find()
                ? new EnvironmentException(
                        "The memory of the device cpu does not suffice" + wanted(message)
                                + "; a smaller batch, or model, helps.",
                        e)
                : e;
    }

    private static String wanted(String message) {
        Matcher wanted = WANTED.matcher(message);
        return wanted.find() ? " (" + wanted.group(1) + " more were needed)" : "";
    }
}

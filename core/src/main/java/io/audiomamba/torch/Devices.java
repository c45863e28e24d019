package io.audiomamba.torch;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.EnvironmentException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;

/** Devices by name. */
public final class Devices {

    private static final Pattern CUDA = Pattern.compile("cuda(?::(\\d{1,3}))?");

    static {
        Natives.loadTorch();
    }

    private Devices() {}

    /** The CPU. */
    public static Device cpu() {
        return new Device(DeviceType.CPU);
    }

    /**
     * The device called {@code cpu}, {@code cuda} or {@code cuda:n}, or for {@code auto} the best there is.
     *
     * @throws ConfigurationException if there is no device of such a name
     * @throws EnvironmentException   if this machine or this build has none
     */
    public static Device named(String name) {
        Matcher cuda = CUDA.matcher(name);
        if (cuda.matches()) {
            return gpu(cuda.group(1) == null ? 0 : Integer.parseInt(cuda.group(1)));
        }
        return switch (name) {
            case "auto" -> lackOfGpu() == null ? gpu(0) : cpu();
            case "cpu" -> cpu();
            default -> throw new ConfigurationException(
                    "There is no device '" + name + "'; use auto, cpu, cuda or cuda:n.");
        };
    }

    /** What GPUs can be used here, or why none. */
    public static String gpus() {
        String lack = lackOfGpu();
        return lack != null
                ? lack
                : IntStream.range(0, torch.cuda_device_count()).mapToObj(index -> CudaDevice.of(index).describe())
                        .collect(Collectors.joining("; "));
    }

    /** Why there is no GPU to compute on; null if there is one. */
    private static String lackOfGpu() {
        if (torch.cuda_is_available()) {
            return CudaLibraries.lack();
        }
        return Natives.isBuiltForGpus()
                ? "none was found, or its driver, CUDA 13 or cuDNN 9 are not installed"
                : "this build of LibTorch is for CPUs (for NVIDIA's GPUs, build with -Pgpu)";
    }

    private static Device gpu(int index) {
        String lack = lackOfGpu();
        if (lack != null) {
            throw new EnvironmentException("There is no device cuda: " + lack + ".");
        }
        if (index >= torch.cuda_device_count()) {
            throw new EnvironmentException(
                    "There is no device cuda:" + index + "; there are " + torch.cuda_device_count() + ".");
        }
        // By default cuDNN rounds the operands of float32 convolutions to 10 bits.
        torch.globalContext().setAllowTF32CuDNN(false);
        return new Device(DeviceType.CUDA, (byte) index);
    }
}

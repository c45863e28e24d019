package io.audiomamba.torch;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.EnvironmentException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch.DeviceType;

/** Devices by name. */
public final class Devices {

    private static final Pattern CUDA = Pattern.compile("cuda(?::(\\d+))?");

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
            throw new EnvironmentException("There is no CUDA device: this build of LibTorch is for CPUs.");
        }
        return switch (name) {
            case "auto", "cpu" -> cpu();
            default -> throw new ConfigurationException(
                    "There is no device '" + name + "'; use auto, cpu, cuda or cuda:n.");
        };
    }
}

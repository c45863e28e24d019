package io.audiomamba.cli;

import io.audiomamba.torch.Devices;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Option;

/** {@code --device}, for every command that computes with tensors. */
final class DeviceOption {

    @Option(names = "--device", paramLabel = "D", defaultValue = "auto", description = "auto, cpu, cuda or cuda:n (${DEFAULT-VALUE}).")
    private String name;

    /** Its name. */
    String name() {
        return name;
    }

    /** The device that was asked for. */
    Device get() {
        return Devices.named(name);
    }
}

package io.audiomamba.cli;

import io.audiomamba.torch.Devices;
import io.audiomamba.train.Recipe;
import java.io.PrintWriter;
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

    /** The device that was asked for, to train on. What {@code recipe} asks of it in vain is said. */
    Device get(Recipe recipe, PrintWriter err) {
        Device device = get();
        if (recipe.train().precision() == Recipe.Precision.BFLOAT16 && !device.is_cuda()) {
            err.println(
                    "audiomamba: warning: train.precision is bfloat16, but only a GPU trains in it: this training is in"
                            + " float32.");
        }
        return device;
    }
}

package io.audiomamba;

import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Natives;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Assumptions;

/** The GPU for tests that need one: without it they are skipped, visibly. */
public final class Gpu {

    private Gpu() {}

    public static Device orSkip() {
        Assumptions.assumeTrue(isThere(), "there is no CUDA device here");
        return Devices.named("cuda");
    }

    public static boolean isThere() {
        Natives.loadTorch();
        return torch.cuda_is_available();
    }
}

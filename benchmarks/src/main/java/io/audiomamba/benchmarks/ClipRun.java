package io.audiomamba.benchmarks;

import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import io.audiomamba.model.Variants;
import io.audiomamba.scan.ScanKernel;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Natives;
import java.io.IOException;
import java.util.Arrays;
import java.util.Locale;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Passes of a whole model over one 256 x 256 image or 10 s of sound, timed one by one:
 * {@code ClipRun VARIANT [THREADS [RUNS]]}.
 */
public final class ClipRun {

    private static final int WARM_UP = 30;

    private ClipRun() {}

    public static void main(String[] arguments) throws IOException {
        String variant = arguments[0];
        int threads = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 2;
        int runs = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 51;
        Natives.setThreads(threads);
        ScanKernel kernel = ScanKernels.best(Devices.cpu());
        ModelConfig config = Variants.named(variant);
        ModelConfig sized = config.sized(config.inChannels(), 527);
        double[] milliseconds = new double[runs];
        try (var _ = new PointerScope();
                var _ = new NoGradGuard();
                Parameters parameters = new Parameters(Parameters.Source.random(1))) {
            AudioMamba model = new AudioMamba(sized, parameters);
            Tensor input = sized.input() == InputKind.IMAGE
                    ? torch.randn(1, sized.inChannels(), 256, 256)
                    : torch.randn(1, 1001, 64);
            Pass pass = new Pass(kernel, false);
            for (int i = -WARM_UP; i < runs; i++) {
                try (var _ = new PointerScope()) {
                    long start = System.nanoTime();
                    model.forward(input, pass);
                    if (i >= 0) {
                        milliseconds[i] = (System.nanoTime() - start) / 1e6;
                    }
                }
            }
            Arrays.sort(milliseconds);
            System.out.printf(Locale.ROOT,
                    "%s, %s scan, %d threads, %d runs: median %.1f ms (10th %.1f, 90th %.1f); %,d parameters; peak RSS %.0f MB%n",
                    variant, kernel.name(), threads, runs, milliseconds[runs / 2], milliseconds[runs / 10],
                    milliseconds[runs * 9 / 10], parameters.count(), ProcessMemory.peak() / 1e6);
        }
    }
}

package io.audiomamba.benchmarks;

import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.InputStage;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import io.audiomamba.model.Variants;
import io.audiomamba.scan.ScanInputs;
import io.audiomamba.scan.ScanKernel;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.CudaGraph;
import io.audiomamba.torch.DeviceStream;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.train.AdamW;
import io.audiomamba.train.FlatParameters;
import io.audiomamba.train.Recipe;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * The scan and whole models on a GPU, timed with synchronisation:
 *
 * <pre>
 *   GpuRun scan                        the scan alone, bfloat16
 *   GpuRun VARIANT [BATCH [RUNS]]      inference and training step in mixed precision, 256 x 256 images, each also
 *                                      recorded and repeated as a whole
 * </pre>
 */
public final class GpuRun {

    private static final int SIZE = 256;
    private static final int WARM_UP = 5;

    private final Device device = Devices.named("cuda");
    private final ScanKernel kernel = ScanKernels.best(device);
    private final int runs;

    private GpuRun(int runs) {
        this.runs = runs;
    }

    public static void main(String[] arguments) {
        if (arguments[0].equals("scan")) {
            GpuRun run = new GpuRun(30);
            for (long[] shape : new long[][] {{128, 64, 96, 6, 1}, {128, 32, 192, 12, 1}, {128, 16, 384, 24, 1},
                    {128, 8, 768, 48, 1}, {32, 64, 192, 6, 16}, {32, 32, 384, 12, 16}}) {
                run.scan(shape);
            }
        } else {
            int batch = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 128;
            GpuRun run = new GpuRun(arguments.length > 2 ? Integer.parseInt(arguments[2]) : 20);
            try (var _ = new DeviceStream(run.device)) {
                run.model(arguments[0], batch);
            }
        }
    }

    private void scan(long[] shape) {
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            ScanInputs inputs = ScanInputs.random(shape[0], shape[1], shape[1], shape[2], shape[3], shape[4])
                    .to(device, ScalarType.BFloat16);
            ScanKernel.Result kept = kernel.forward(inputs, true);
            Tensor grad = torch.randn_like(kept.merged());
            double inference = median(() -> kernel.forward(inputs, false));
            double forward = median(() -> kernel.forward(inputs, true));
            double backward = median(() -> kernel.backward(inputs, kept.kept(), grad));
            System.out.printf(Locale.ROOT,
                    "scan B %d, %d x %d, D %d, R %d, N %d: forward %.3f ms, for training %.3f ms, backward %.3f ms%n",
                    shape[0], shape[1], shape[1], shape[2], shape[3], shape[4], inference, forward, backward);
        }
    }

    private void model(String variant, int batch) {
        ModelConfig named = Variants.named(variant);
        ModelConfig config = named.sized(named.inChannels(), named.classes());
        try (var _ = new PointerScope(); Parameters parameters = new Parameters(Parameters.Source.random(1))) {
            AudioMamba model = new AudioMamba(config, parameters);
            FlatParameters flat = new FlatParameters(parameters, device);
            AdamW optimizer = new AdamW(Recipe.of("audioset-balanced", Map.of()).optimizer(), flat);
            long[] shape = config.input() == InputKind.IMAGE
                    ? new long[] {batch, config.inChannels(), SIZE, SIZE}
                    : new long[] {batch, InputStage.FOLDED_FRAMES, InputStage.MEL_BINS};
            Tensor images = torch.randn(shape, new TensorOptions(ScalarType.Float).device(new DeviceOptional(device)));
            Tensor dropPath = model.dropPath(batch, new SplittableRandom(1)).to(device, ScalarType.BFloat16);
            Pass inference = new Pass(kernel, false);
            Pass training = new Pass(kernel, true).withDropPath(dropPath);
            Runnable forward = () -> {
                try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
                    Autocast.bfloat16(() -> model.forward(images, inference).clip());
                }
            };
            Runnable gradients = () -> {
                try (var _ = new GradientTape(); var _ = new PointerScope()) {
                    Autocast.bfloat16(() -> model.forward(images, training).clip()).to(ScalarType.Float).square()
                            .mean().backward();
                }
            };
            report(variant, batch, "inference", median(forward));
            resetPeak();
            report(variant, batch, "training step", median(() -> {
                gradients.run();
                optimizer.step(1e-4);
            }));
            System.out.printf(Locale.ROOT, "%s, batch %d: peak %.2f GB%n", variant, batch, peak() / 1e9);
            try (CudaGraph graph = new CudaGraph(device, forward)) {
                report(variant, batch, "recorded inference", median(graph::launch));
            }
            try (CudaGraph graph = new CudaGraph(device, gradients)) {
                report(variant, batch, "recorded training step", median(() -> {
                    graph.launch();
                    optimizer.step(1e-4);
                }));
            }
        }
    }

    private static void report(String variant, int batch, String what, double milliseconds) {
        System.out.printf(Locale.ROOT, "%s, batch %d: %s %.1f ms, %.0f clips/s%n", variant, batch, what, milliseconds,
                1000 * batch / milliseconds);
    }

    private void resetPeak() {
        torch_cuda.getDeviceAllocator(DeviceType.CUDA).resetPeakStats(device.index());
    }

    /** Bytes. */
    private long peak() {
        return torch_cuda.getDeviceAllocator(DeviceType.CUDA).getDeviceStats(device.index()).allocated_bytes().peak();
    }

    /** Milliseconds. */
    private double median(Runnable body) {
        double[] milliseconds = new double[runs];
        for (int i = -Math.min(WARM_UP, runs); i < runs; i++) {
            try (var _ = new PointerScope()) {
                torch.cuda_synchronize();
                long start = System.nanoTime();
                body.run();
                torch.cuda_synchronize();
                if (i >= 0) {
                    milliseconds[i] = (System.nanoTime() - start) / 1e6;
                }
            }
        }
        Arrays.sort(milliseconds);
        return milliseconds[runs / 2];
    }
}

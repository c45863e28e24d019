package io.audiomamba.benchmarks;

import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.frontend.LogMel;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.HeadKind;
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
import java.util.ArrayList;
import java.util.List;
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
 * The scan, HTS-AT's front end and whole models on a GPU, timed with synchronisation:
 *
 * <pre>
 *   GpuRun scan                        the scan alone, bfloat16
 *   GpuRun front                       windows of 10 s to log-mels, in double precision and in float32
 *   GpuRun VARIANT [BATCH [RUNS]]      inference and training step in mixed precision, 256 x 256 images
 *   GpuRun audio:VARIANT …             the same as it is trained on sound: log-mels of 10 s, token-semantic head
 * </pre>
 *
 * All but the front end is also recorded and repeated as a whole. Medians are of RUNS or more, for a second at least.
 */
public final class GpuRun {

    private static final int SIZE = 256;
    private static final int BATCH = 128;
    /** Log-mels of 10 s. */
    private static final int FRAMES = 1001;
    private static final String AUDIO = "audio:";
    /** At least: for the GPU, and for Java's compiler, which waits for some hundred launches. */
    private static final int WARM_UP_RUNS = 5;
    private static final double WARM_UP_MILLISECONDS = 500;
    /** At least: at its limit of power a GPU's clock goes down and up again about once in a second. */
    private static final double MEASURED_MILLISECONDS = 1000;
    private static final int IN_A_ROW = 20;
    private static final int ROWS = 5;

    private final Device device = Devices.named("cuda");
    private final ScanKernel kernel = ScanKernels.best(device);
    private final int runs;

    private GpuRun(int runs) {
        this.runs = runs;
    }

    public static void main(String[] arguments) {
        GpuRun run = new GpuRun(arguments.length > 2 ? Integer.parseInt(arguments[2]) : 30);
        try (var _ = new DeviceStream(run.device)) {
            switch (arguments[0]) {
                case "scan" -> {
                    for (long[] shape : new long[][] {{BATCH, 64, 96, 6, 1}, {BATCH, 32, 192, 12, 1},
                            {BATCH, 16, 384, 24, 1}, {BATCH, 8, 768, 48, 1}, {BATCH, 64, 192, 6, 16},
                            {BATCH, 32, 384, 12, 16}, {BATCH, 16, 768, 24, 16}, {BATCH, 8, 1536, 48, 16}}) {
                        run.scan(shape);
                    }
                }
                case "front" -> run.frontEnd();
                default -> run.model(arguments[0], arguments.length > 1 ? Integer.parseInt(arguments[1]) : BATCH);
            }
        }
    }

    private void scan(long[] shape) {
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            ScanInputs inputs = ScanInputs.random(shape[0], shape[1], shape[1], shape[2], shape[3], shape[4])
                    .to(device, ScalarType.BFloat16);
            ScanKernel.Result kept = kernel.forward(inputs, true);
            Tensor grad = torch.randn_like(kept.merged());
            System.out.printf(Locale.ROOT, "scan B %d, %d x %d, D %d, R %d, N %d:%n", shape[0], shape[1], shape[1],
                    shape[2], shape[3], shape[4]);
            recorded("inference", () -> kernel.forward(inputs, false));
            recorded("forward", () -> kernel.forward(inputs, true));
            recorded("backward", () -> kernel.backward(inputs, kept.kept(), grad));
            recorded("both", () -> kernel.backward(inputs, kernel.forward(inputs, true).kept(), grad));
        }
    }

    /** As usual, and recorded: each alone, with what it takes to launch and to await it, and many one behind the other. */
    private void recorded(String what, Runnable pass) {
        Runnable scoped = () -> {
            try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
                pass.run();
            }
        };
        double launched = median(scoped);
        try (CudaGraph graph = new CudaGraph(device, scoped)) {
            double alone = median(graph::launch);
            double inARow = median(ROWS, () -> {
                for (int i = 0; i < IN_A_ROW; i++) {
                    graph.launch();
                }
            }) / IN_A_ROW;
            System.out.printf(Locale.ROOT, "    %s %.3f ms, recorded %.3f ms, %d in a row %.3f ms each%n", what,
                    launched, alone, IN_A_ROW, inARow);
        }
    }

    private void frontEnd() {
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            for (ScalarType precision : new ScalarType[] {ScalarType.Double, ScalarType.Float}) {
                FrontEnd frontEnd = FrontEnd.named(LogMel.NAME, device, precision);
                Tensor sounds = torch.randn(new long[] {BATCH, frontEnd.windowSamples()},
                        new TensorOptions(ScalarType.Float).device(new DeviceOptional(device)));
                report("front end in " + precision, BATCH, "log-mels", median(() -> frontEnd.apply(sounds)));
            }
        }
    }

    private void model(String variant, int batch) {
        ModelConfig named = Variants.named(variant.replaceFirst("^" + AUDIO, ""));
        ModelConfig config = variant.startsWith(AUDIO)
                ? named.forAudio(InputKind.FOLDED_LOG_MEL, named.classes(), HeadKind.TOKEN_SEMANTIC)
                : named;
        try (var _ = new PointerScope(); Parameters parameters = new Parameters(Parameters.Source.random(1))) {
            AudioMamba model = new AudioMamba(config, parameters);
            FlatParameters flat = new FlatParameters(parameters, device);
            AdamW optimizer = new AdamW(Recipe.of("audioset-balanced", Map.of()).optimizer(), flat);
            long[] shape = config.input() == InputKind.IMAGE
                    ? new long[] {batch, config.inChannels(), SIZE, SIZE}
                    : new long[] {batch, FRAMES, LogMel.BINS};
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

    private double median(Runnable body) {
        return median(runs, body);
    }

    /** Milliseconds, of {@code runs} or more. */
    private static double median(int runs, Runnable body) {
        milliseconds(body, WARM_UP_RUNS, WARM_UP_MILLISECONDS);
        List<Double> times = milliseconds(body, runs, MEASURED_MILLISECONDS);
        return times.stream().sorted().skip(times.size() / 2).findFirst().orElseThrow();
    }

    /** Of each run, until there are {@code runs} that have taken {@code atLeast} milliseconds together. */
    private static List<Double> milliseconds(Runnable body, int runs, double atLeast) {
        List<Double> times = new ArrayList<>();
        for (double all = 0; times.size() < runs || all < atLeast; all += times.getLast()) {
            times.add(milliseconds(body));
        }
        return times;
    }

    private static double milliseconds(Runnable body) {
        try (var _ = new PointerScope()) {
            torch.cuda_synchronize();
            long start = System.nanoTime();
            body.run();
            torch.cuda_synchronize();
            return (System.nanoTime() - start) / 1e6;
        }
    }
}

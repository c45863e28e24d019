package io.audiomamba.benchmarks;

import io.audiomamba.frontend.LogMel;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import io.audiomamba.model.Ss2d;
import io.audiomamba.model.Variants;
import io.audiomamba.scan.ScanKernel;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Natives;
import io.audiomamba.torch.Tensors;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.LongSupplier;
import java.util.function.UnaryOperator;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * Time and memory of one forward pass over one long sound:
 *
 * <pre>
 *   LengthRun DEVICE model|scan|attention SECONDS...
 * </pre>
 *
 * {@code model} is the whole {@value #VARIANT} on log-mels; {@code scan} its first token mixer and {@code attention} a
 * self-attention of the same width, both on the tokens that the first stage has for a sound of that length. Memory is
 * what the peak of the process, or of LibTorch's memory on a GPU, grew by: one process should measure one length. On a
 * CPU one thread does everything, and its time counts.
 */
public final class LengthRun {

    private static final String VARIANT = "tiny_s1l8";
    private static final int FRAMES_PER_SECOND = 100;
    private static final int PATCH = 4;
    private static final int HEAD_WIDTH = 32;
    private static final int RUNS = 5;
    /** Milliseconds after which no further run begins. */
    private static final double PATIENCE = 60_000;

    private final Device device;
    private final ScanKernel kernel;
    private final Pass pass;

    private LengthRun(String device) {
        this.device = Devices.named(device);
        this.kernel = ScanKernels.best(this.device);
        this.pass = new Pass(kernel, false);
    }

    public static void main(String[] arguments) throws IOException {
        // LibTorch's attention calls OpenBLAS from threads of its own, and with threads in both it crawls.
        Natives.setThreads(1);
        LengthRun run = new LengthRun(arguments[0]);
        for (int i = 2; i < arguments.length; i++) {
            run.measure(arguments[1], Integer.parseInt(arguments[i]));
        }
    }

    private void measure(String what, int seconds) throws IOException {
        try (var _ = new PointerScope(); Parameters parameters = new Parameters(Parameters.Source.random(1))) {
            ModelConfig config = Variants.named(VARIANT).forAudio(InputKind.LOG_MEL, 527, HeadKind.LINEAR);
            long width = config.width(0);
            UnaryOperator<Tensor> forward = switch (what) {
                case "model" -> {
                    AudioMamba model = new AudioMamba(config, parameters);
                    yield x -> model.forward(x, pass).clip();
                }
                case "scan" -> {
                    Ss2d mixer = new Ss2d(parameters.root(), config, width);
                    yield x -> mixer.forward(x, pass);
                }
                case "attention" -> attention(width);
                default -> throw new IllegalArgumentException(what);
            };
            parameters.to(device);
            Tensor input = input(what, width, seconds);
            milliseconds(forward, input(what, width, 1)); // buffers and code that any length needs are there then
            report(what, seconds, forward, input);
        }
    }

    private Tensor input(String what, long width, int seconds) {
        return what.equals("model")
                ? random(1, (long) seconds * FRAMES_PER_SECOND, LogMel.BINS)
                : random(1, LogMel.BINS / PATCH, columns(seconds), width);
    }

    private static long columns(int seconds) {
        return (long) seconds * FRAMES_PER_SECOND / PATCH;
    }

    private UnaryOperator<Tensor> attention(long width) {
        Tensor in = Tensors.permanent(random(3 * width, width).div_(scalar(Math.sqrt(width))));
        Tensor out = Tensors.permanent(random(width, width).div_(scalar(Math.sqrt(width))));
        return x -> {
            // (1, heads, tokens, HEAD_WIDTH) each
            Tensor all = torch.linear(x.flatten(1, 2), in).unflatten(-1, 3, width / HEAD_WIDTH, HEAD_WIDTH)
                    .permute(2, 0, 3, 1, 4);
            Tensor mixed = torch.scaled_dot_product_attention(all.select(0, 0), all.select(0, 1), all.select(0, 2),
                    new TensorOptional(), 0, false, new DoubleOptional(), false);
            return torch.linear(mixed.transpose(1, 2).flatten(2, 3), out);
        };
    }

    private static org.bytedeco.pytorch.Scalar scalar(double value) {
        return new org.bytedeco.pytorch.Scalar(value);
    }

    private Tensor random(long... shape) {
        return torch.randn(shape, new TensorOptions(ScalarType.Float).device(new DeviceOptional(device)));
    }

    private void report(String what, int seconds, UnaryOperator<Tensor> forward, Tensor input) throws IOException {
        if (device.is_cuda()) {
            torch_cuda.getDeviceAllocator(DeviceType.CUDA).resetPeakStats(device.index());
        }
        long before = peakMemory();
        List<Double> runs = new ArrayList<>(List.of(milliseconds(forward, input)));
        if (runs.getFirst() < PATIENCE) {
            runs.clear(); // the first pass is slower: it prepares what later ones find ready
            for (double spent = 0; runs.size() < RUNS && spent < PATIENCE; spent += runs.getLast()) {
                runs.add(milliseconds(forward, input));
            }
        }
        runs.sort(null);
        System.out.printf(Locale.ROOT, "%s %s %d s %d tokens %.2f ms %.0f MB%n", device.is_cuda() ? "gpu" : "cpu",
                what, seconds, LogMel.BINS / PATCH * columns(seconds), runs.get(runs.size() / 2),
                (peakMemory() - before) / 1e6);
    }

    /** What one pass takes: of the clock with a GPU, of this thread, which does it all, without. */
    private double milliseconds(UnaryOperator<Tensor> forward, Tensor input) {
        LongSupplier clock = device.is_cuda()
                ? System::nanoTime
                : ManagementFactory.getThreadMXBean()::getCurrentThreadCpuTime;
        if (device.is_cuda()) {
            torch.cuda_synchronize();
        }
        long start = clock.getAsLong();
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            Tensor result = device.is_cuda()
                    ? Autocast.bfloat16(() -> forward.apply(input))
                    : forward.apply(input);
            result.view(-1).select(0, 0).item_float(); // waits for the GPU
        }
        return (clock.getAsLong() - start) / 1e6;
    }

    /** The most memory in use so far. */
    private long peakMemory() throws IOException {
        return device.is_cuda()
                ? torch_cuda.getDeviceAllocator(DeviceType.CUDA).getDeviceStats(device.index()).allocated_bytes().peak()
                : ProcessMemory.peak();
    }
}

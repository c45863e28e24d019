package io.audiomamba.diagnosis;

import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import io.audiomamba.model.Variants;
import io.audiomamba.scan.ScanInputs;
import io.audiomamba.scan.ScanKernel;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Natives;
import io.audiomamba.torch.Workers;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What this machine offers, how fast it is, and what would make it faster.
 *
 * @param facts   what was found
 * @param timings medians of a few runs, after a warm-up
 * @param advice  what to fix, one sentence each
 */
public record Diagnosis(Map<String, String> facts, Map<String, String> timings, List<String> advice) {

    private static final int WARM_UP = 20;
    private static final int RUNS = 11;

    /** Looks and measures; takes some seconds. */
    public static Diagnosis of(ScanKernel kernel, Device device) {
        Natives.loadTorch();
        return new Diagnosis(facts(kernel, device), timings(kernel, device), recommendations());
    }

    private static Map<String, String> facts(ScanKernel kernel, Device device) {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("JDK", System.getProperty("java.vendor.version", "") + " " + Runtime.version() + ", "
                + System.getProperty("java.home"));
        facts.put("machine", System.getProperty("os.name") + " " + System.getProperty("os.arch") + ", "
                + Runtime.getRuntime().availableProcessors() + " cores, heap up to "
                + (Runtime.getRuntime().maxMemory() >> 20) + " MB");
        facts.put("LibTorch",
                torch.class.getPackage().getImplementationVersion() + ", " + torch.get_num_threads() + " threads");
        int blasThreads = openblas.blas_get_num_threads();
        facts.put("BLAS", "OpenBLAS " + openblas.class.getPackage().getImplementationVersion() + ", "
                + (blasThreads > 0 ? blasThreads + " threads" : "a thread for each core"));
        facts.put("vectors", Workers.hasVectorApi() ? VectorWidth.describe() : "Vector API not enabled");
        facts.put("scan kernels", String.join(", ", ScanKernels.names(device)) + "; used: " + kernel.name());
        facts.put("GPU", Devices.gpus());
        facts.put("device", device.str().getString());
        facts.put("natives", Natives.cacheFolder().map(Path::toString).orElse("no folder can be written to"));
        return facts;
    }

    private static Map<String, String> timings(ScanKernel kernel, Device device) {
        Map<String, String> timings = new LinkedHashMap<>();
        boolean gpu = device.is_cuda();
        // A GPU shows what it can do only with large operands, in the precision that it computes in.
        ScalarType type = gpu ? ScalarType.Half : ScalarType.Float;
        int size = gpu ? 4096 : 768;
        int images = gpu ? 64 : 1;
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            Tensor a = torch.randn(size, size).to(device, type);
            double product = median(device, () -> a.matmul(a));
            timings.put("matrix product", String.format(Locale.ROOT, "%.0f GFLOP/s, %s",
                    2.0 * size * size * size / product / 1e9, gpu ? "float16" : "float32"));
            ScanInputs inputs = ScanInputs.random(images, 64, 64, 96, 6, 1).to(device, type);
            double scan = median(device, () -> kernel.forward(inputs, false));
            double bytes = inputs.tokens().element_size()
                    * (2.0 * inputs.tokens().numel() + inputs.projections().numel());
            timings.put("scan", String.format(Locale.ROOT,
                    "%.3f ns for each token, channel and direction; operands and result at %.1f GB/s",
                    scan * 1e9 / (4.0 * inputs.tokens().numel()), bytes / scan / 1e9));
            try (Parameters parameters = new Parameters(Parameters.Source.random(0))) {
                AudioMamba nano = new AudioMamba(Variants.named("nano"), parameters);
                parameters.to(device);
                Tensor image = torch.randn(1, 1001, 64).to(device, ScalarType.Float);
                Pass pass = new Pass(kernel, false);
                timings.put("nano, 10 s", String.format(Locale.ROOT, "%.0f ms",
                        1e3 * median(device, () -> nano.forward(image, pass))));
            }
        }
        return timings;
    }

    /** Seconds. */
    private static double median(Device device, Runnable work) {
        double[] seconds = new double[RUNS];
        for (int i = -WARM_UP; i < RUNS; i++) {
            try (var _ = new PointerScope()) {
                long start = System.nanoTime();
                work.run();
                if (device.is_cuda()) {
                    torch.cuda_synchronize();
                }
                if (i >= 0) {
                    seconds[i] = (System.nanoTime() - start) / 1e9;
                }
            }
        }
        Arrays.sort(seconds);
        return seconds[RUNS / 2];
    }

    private static List<String> recommendations() {
        List<String> advice = new ArrayList<>();
        if (!Workers.hasVectorApi()) {
            advice.add("Start the JVM with --add-modules jdk.incubator.vector: the scan is some 50 times faster.");
        }
        if (torch.get_num_threads() > Runtime.getRuntime().availableProcessors()) {
            advice.add("LibTorch uses more threads than this machine has cores: pass --threads.");
        }
        if (Runtime.getRuntime().maxMemory() < 512L << 20) {
            advice.add("The heap is below 512 MB: give the JVM -Xmx1g.");
        }
        return advice;
    }

    /** Apart, since the Vector API's classes are absent unless the JVM was told to load them. */
    private static final class VectorWidth {
        static String describe() {
            var species = jdk.incubator.vector.FloatVector.SPECIES_PREFERRED;
            return species.vectorBitSize() + " bits, " + species.length() + " floats";
        }
    }
}

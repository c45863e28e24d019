package io.audiomamba.benchmarks;

import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import io.audiomamba.model.Variants;
import io.audiomamba.scan.ScanInputs;
import io.audiomamba.scan.ScanKernel;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.GradientTape;
import java.util.Arrays;
import java.util.Locale;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The scan and whole models on a GPU, timed with synchronisation: {@code GpuRun scan} or
 * {@code GpuRun VARIANT [BATCH]}, the latter in bfloat16 mixed precision on 256 x 256 images.
 */
public final class GpuRun {

    private static final int RUNS = 20;

    private GpuRun() {}

    public static void main(String[] arguments) {
        Device device = Devices.named("cuda");
        ScanKernel kernel = ScanKernels.best(device);
        if (arguments[0].equals("scan")) {
            for (long[] shape : new long[][] {{128, 64, 96, 6, 1}, {128, 32, 192, 12, 1}, {128, 16, 384, 24, 1},
                    {128, 8, 768, 48, 1}, {32, 64, 192, 6, 16}, {32, 32, 384, 12, 16}}) {
                scan(kernel, device, shape);
            }
        } else {
            model(kernel, device, arguments[0], arguments.length > 1 ? Integer.parseInt(arguments[1]) : 128);
        }
    }

    private static void scan(ScanKernel kernel, Device device, long[] shape) {
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            ScanInputs random = ScanInputs.random(shape[0], shape[1], shape[1], shape[2], shape[3], shape[4]);
            Tensor[] tensors = random.tensors();
            for (int i = 0; i < tensors.length; i++) {
                tensors[i] = tensors[i].to(device, i < 2 ? ScalarType.BFloat16 : ScalarType.Float);
            }
            ScanInputs inputs = ScanInputs.of(tensors);
            ScanKernel.Result kept = kernel.forward(inputs, true);
            Tensor grad = torch.randn_like(kept.merged());
            double forward = median(() -> kernel.forward(inputs, false));
            double backward = median(() -> kernel.backward(inputs, kept.kept(), grad));
            System.out.printf(Locale.ROOT, "scan B %d, %d x %d, D %d, R %d, N %d: forward %.3f ms, backward %.3f ms%n",
                    shape[0], shape[1], shape[1], shape[2], shape[3], shape[4], forward, backward);
        }
    }

    private static void model(ScanKernel kernel, Device device, String variant, int batch) {
        ModelConfig named = Variants.named(variant);
        ModelConfig config = named.sized(named.inChannels(), named.classes());
        try (var _ = new PointerScope(); Parameters parameters = new Parameters(Parameters.Source.random(1))) {
            AudioMamba model = new AudioMamba(config, parameters);
            parameters.to(device);
            Tensor images = torch.randn(new long[] {batch, config.inChannels(), 256, 256},
                    new TensorOptions(ScalarType.Float).device(new org.bytedeco.pytorch.DeviceOptional(device)));
            double inference = median(() -> {
                try (var _ = new NoGradGuard()) {
                    Autocast.bfloat16(() -> model.forward(images, new Pass(kernel, false)).clip());
                }
            });
            parameters.tensors().forEach((name, tensor) -> tensor.requires_grad_(!parameters.isBuffer(name)));
            double training = median(() -> {
                try (var _ = new GradientTape(); var _ = new PointerScope()) {
                    Autocast.bfloat16(() -> model.forward(images, new Pass(kernel, true)).clip()).to(ScalarType.Float)
                            .square().mean().backward();
                }
            });
            System.out.printf(Locale.ROOT, "%s, batch %d: inference %.0f clips/s, forward and backward %.0f clips/s%n",
                    variant, batch, 1000 * batch / inference, 1000 * batch / training);
        }
    }

    /** Milliseconds. */
    private static double median(Runnable body) {
        double[] milliseconds = new double[RUNS];
        for (int i = -5; i < RUNS; i++) {
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
        return milliseconds[RUNS / 2];
    }
}

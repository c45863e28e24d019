package io.audiomamba.benchmarks;

import io.audiomamba.scan.ScanInputs;
import io.audiomamba.scan.ScanKernel;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Natives;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** One fused scan of one image, forward and backward, by each kernel of the CPU. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 3, time = 2)
@Fork(1)
public class ScanBenchmark {

    /** The kernel. */
    @Param({"vector", "torch"})
    public String kernel;

    /** Height x width x channels x state size. */
    @Param({"64x64x96x1", "64x64x96x16"})
    public String shape;

    @Param({"2"})
    public int threads;

    private PointerScope scope;
    private ScanKernel scan;
    private ScanInputs inputs;
    private Tensor kept;
    private Tensor gradient;

    @Setup
    public void setUp() {
        Natives.setThreads(threads);
        scope = new PointerScope();
        scan = ScanKernels.named(kernel, Devices.cpu());
        int[] size = Arrays.stream(shape.split("x")).mapToInt(Integer::parseInt).toArray();
        inputs = ScanInputs.random(1, size[0], size[1], size[2], (size[2] + 15) / 16, size[3]);
        kept = scan.forward(inputs, true).kept();
        gradient = torch.randn(1, size[0], size[1], size[2]);
    }

    @Benchmark
    public void forward() {
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            scan.forward(inputs, false);
        }
    }

    @Benchmark
    public void backward() {
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            scan.backward(inputs, kept, gradient);
        }
    }

    @TearDown
    public void tearDown() {
        scope.close();
    }
}

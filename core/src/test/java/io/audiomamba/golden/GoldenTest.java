package io.audiomamba.golden;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.Gpu;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.Safetensors;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Devices;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Supplier;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Device;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every case of a folder of reference outputs of the official PyTorch code, with every kernel, and in
 * mixed precision with the fastest ones: of the excerpt among the
 * test resources, or of the folder that {@code -Dgolden.dir=DIR} names.
 */
class GoldenTest {

    private static Path folder() throws URISyntaxException {
        String given = System.getProperty("golden.dir");
        return given == null ? Path.of(GoldenTest.class.getResource("/golden").toURI()) : Path.of(given);
    }

    @TestFactory
    Stream<DynamicTest> cases() throws URISyntaxException {
        GoldenSuite suite = new GoldenSuite(folder());
        assertThat(suite.cases()).isNotEmpty();
        return Arrays.stream(Precision.values()).flatMap(precision -> {
            Stream<DynamicTest> onCpu = ScanKernels.names(Devices.cpu()).stream()
                    .limit(precision == Precision.FP32 ? Long.MAX_VALUE : 1) // the oracle is slow
                    .flatMap(kernel -> cases(suite, kernel, Devices::cpu, precision));
            return Stream.concat(onCpu, cases(suite, "cuda", Gpu::orSkip, precision));
        });
    }

    private static Stream<DynamicTest> cases(GoldenSuite suite, String kernel, Supplier<Device> device,
            Precision precision) {
        return suite.cases().stream()
                .map(file -> DynamicTest.dynamicTest(file + ", " + kernel + ", " + precision, () -> {
                    GoldenSuite.Outcome outcome = suite.run(file, ScanKernels.named(kernel, device.get()), device.get(),
                            precision);
                    assertThat(outcome.failure()).isNull();
                    assertThat(outcome.comparisons()).isNotEmpty().allMatch(Comparison::passes);
                }));
    }

    /** The tests above demand the fast kernel: without it they would pass by testing less. */
    @Test
    void theVectorKernelIsThere() {
        assertThat(ScanKernels.names(Devices.cpu())).contains("vector");
    }

    @Test
    void aWrongValueFails() {
        double[] right = {1, 2, 3};
        assertThat(Comparison.of("x", new double[] {1, 2, 3.1}, right, 1e-3).passes()).isFalse();
        assertThat(Comparison.of("x", new double[] {1, 2, Double.NaN}, right, 1e9).passes()).isFalse();
        assertThat(Comparison.of("x", new double[] {1, 2}, right, 1e9).passes()).isFalse();
        assertThat(Comparison.of("x", right, right, 0).passes()).isTrue();
    }

    @Test
    void aCaseThatIsNotUnderstoodFails(@TempDir Path folder) throws Exception {
        GoldenSuite.Outcome outcome = run(folder, "{\"kind\":\"something new\"}");
        assertThat(outcome.passes()).isFalse();
        assertThat(outcome.failure()).contains("something new");
    }

    /** Everything that a file holds is compared: what the model does not show must not pass unseen. */
    @Test
    void aFeatureThatIsNotUnderstoodFails(@TempDir Path folder) throws Exception {
        float[] values = new float[1000];
        Safetensors.write(folder.resolve("x.safetensors"),
                Map.of("logits", RawTensor.of(values, 1, 1000), "feat.neck", RawTensor.of(values, 1000)), Map.of());
        GoldenSuite.Outcome outcome = run(folder, """
                {"kind": "vssm", "variant": "nano_s1", "batch": 1, "height": 33, "width": 47, "weights_salt": "salt",
                 "input": {"generated": "image"}, "layout_of_features": "NCHW"}""");
        assertThat(outcome.failure()).contains("feat.neck");
    }

    private static GoldenSuite.Outcome run(Path folder, String description) throws Exception {
        Files.writeString(folder.resolve("index.json"),
                "[{\"file\": \"x.safetensors\", \"run\": " + description + "}]");
        Device device = Devices.cpu();
        return new GoldenSuite(folder).run("x.safetensors", ScanKernels.best(device), device, Precision.FP32);
    }
}

package io.audiomamba.scan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The kernels of {@link PatchScan} compiled as C++ for the CPU, a thread for each of a block's: for those who have no GPU
 * but a C++ compiler. Against double precision, and against what sanitizers know.
 */
class EmulatedPatchScanTest {

    private static final String COMPILER = "g++";
    private static final List<String> KERNELS = List.of("patch_scan_forward.cu", "patch_scan_backward.cu",
            "borders.cuh", "patch.cuh", "parameters.cuh", "softplus.cuh", "/io/audiomamba/torch/numbers.cuh");
    /** {@code tensor_cores.cuh} takes the place of the real one. */
    private static final List<String> EMULATION = List.of("cuda.h", "tensor_cores.cuh", "patch_scan.cpp");
    /** Of bfloat16, as the results are; sums over few tokens do not average its rounding away. */
    private static final double TOLERANCE = 5e-3;

    private static final long MOST_MINUTES = 5;

    @TempDir
    private Path folder;

    /** Fused in one tile and in two, and not fused; more patches than blocks; several rounds along the borders. */
    @ParameterizedTest
    @CsvSource({"6,thread,late,1,32,16,64,1", "12,address,early,1,80,64,32,7", "14,thread,early,1,16,16,32,2",
            "24,address,late,1,48,16,64,2", "24,thread,late,1,32,16,32,1"})
    void isRight(int rank, String sanitizer, String copies, int batch, int height, int width, int channels, int blocks)
            throws IOException, InterruptedException {
        assumeTrue(compiles(sanitizer), "no " + COMPILER + " with C++20 and sanitizers here");
        for (String file : EMULATION) {
            Files.writeString(folder.resolve(file), text("emulated/" + file));
        }
        for (String file : KERNELS) {
            Files.writeString(folder.resolve(Path.of(file).getFileName()), forACpu(text(file)));
        }
        ScanInputs in = ScanInputs.random(batch, height, width, channels, rank, 1);
        List<String> definitions = PatchScan.definitions(in);
        List<String> command = compiler(sanitizer, "patch_scan.cpp");
        definitions.forEach(definition -> command.add("-D" + definition));
        command.addAll(List.of("-DTYPE=1", "-DLATE_COPIES=" + ("late".equals(copies) ? 1 : 0)));
        assertThat(run(command)).as(output()).isTrue();
        assertThat(run(List.of("./patch_scan", "" + batch, "" + height, "" + width, "" + channels, "" + blocks)))
                .as(output()).isTrue();
        List<String> lines = output().lines().toList();
        assertThat(lines.getFirst()).isEqualTo(PatchScan.forwardBytes(in) + " " + PatchScan.backwardBytes(in));
        // y, tokens; columns of projections, rows of parameters; or those without the rank, and the step sizes'.
        int results = definitions.contains("FUSED=1") ? 2 + (rank + 2) + (3 + rank) : 2 + 2 + 3 + 1;
        assertThat(lines.subList(1, lines.size())).hasSize(results).allSatisfy(
                line -> assertThat(Double.parseDouble(line.split(" ")[1])).as(line).isBetween(0.0, TOLERANCE));
    }

    private boolean compiles(String sanitizer) throws IOException, InterruptedException {
        if (Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
                .noneMatch(path -> Files.isExecutable(Path.of(path, COMPILER)))) {
            return false;
        }
        Files.writeString(folder.resolve("nothing.cpp"), "#include <barrier>\nint main() {}\n");
        return run(compiler(sanitizer, "nothing.cpp"));
    }

    private static List<String> compiler(String sanitizer, String source) {
        return new ArrayList<>(List.of(COMPILER, "-std=c++20", "-O1", "-g", "-w", "-pthread", "-fno-strict-aliasing",
                "-fsanitize=" + sanitizer, "-o", "patch_scan", source));
    }

    /** What is of the GPU alone, or said in its own words. */
    private static String forACpu(String source) {
        return source.replace("extern __shared__ uint4 dynamic[];", "#define dynamic ((uint4*)dynamicMemory)")
                .replace("asm volatile(\"mov.f32 %0, %1;\" : \"=f\"(y) : \"f\"(x));", "y = x;")
                .replace("asm(\"ex2.approx.ftz.f32 %0, %1;\" : \"=f\"(y) : \"f\"(x));", "y = std::exp2(x);")
                .replace("extern \"C\" ", "")
                .replaceAll("(?m)^static_assert\\(sizeof\\(PatchShared\\) == SHARED_BYTES.*$", "");
    }

    private static String text(String file) throws IOException {
        try (InputStream stream = PatchScan.class.getResourceAsStream(file)) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    /** Whether that ends well; threads that miss a barrier would wait for good. */
    private boolean run(List<String> command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true)
                .redirectOutput(folder.resolve("output").toFile()).start();
        boolean ended = process.waitFor(MOST_MINUTES, TimeUnit.MINUTES);
        process.destroyForcibly();
        return ended && process.exitValue() == 0;
    }

    private String output() throws IOException {
        return Files.readString(folder.resolve("output"));
    }
}

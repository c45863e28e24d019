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
            "borders.cuh",
            "patch.cuh", "parameters.cuh", "softplus.cuh");
    /** {@code tensor_cores.cuh} takes the place of the real one. */
    private static final List<String> EMULATION = List.of("cuda.h", "tensor_cores.cuh", "patch_scan.cpp");
    /** Of bfloat16, as the results are; sums over few tokens do not average its rounding away. */
    private static final double TOLERANCE = 5e-3;

    @TempDir
    private Path folder;

    /** Fused in one tile and in two, and not fused; more patches than blocks; several rounds along the borders. */
    @ParameterizedTest
    @CsvSource({"6,thread,1,32,16,64,1", "12,address,1,160,64,32,7", "14,thread,1,16,16,32,2",
            "24,address,1,48,16,64,2"})
    void isRight(int rank, String sanitizer, int batch, int height, int width, int channels, int blocks)
            throws IOException, InterruptedException {
        assumeTrue(Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
                .anyMatch(path -> Files.isExecutable(Path.of(path, COMPILER))), "no " + COMPILER + " here");
        for (String file : EMULATION) {
            Files.writeString(folder.resolve(file), text("emulated/" + file));
        }
        for (String file : KERNELS) {
            Files.writeString(folder.resolve(file), forACpu(text(file)));
        }
        boolean fused = rank <= PatchScan.HIGHEST_FUSED_RANK;
        run(COMPILER, "-std=c++20", "-O1", "-g", "-w", "-pthread", "-fno-strict-aliasing", "-fsanitize=" + sanitizer,
                "-DN=1", "-DTYPE=1", "-DR=" + rank, "-DFUSED=" + (fused ? 1 : 0), "-DBORDER_CHANNELS=16",
                "-DBORDER_WARPS=8", "-o", "patch_scan", "patch_scan.cpp");
        List<String> errors = run("./patch_scan", "" + batch, "" + height, "" + width, "" + channels, "" + blocks);
        assertThat(errors).hasSize(fused ? 4 : 5).allSatisfy(
                line -> assertThat(Double.parseDouble(line.split(" ")[1])).as(line).isBetween(0.0, TOLERANCE));
    }

    /** What is of the GPU alone, or said in its own words. */
    private static String forACpu(String source) {
        return source.replace("extern __shared__ uint4 dynamic[];", "#define dynamic ((uint4*)dynamicMemory)")
                .replace("asm volatile(\"mov.f32 %0, %1;\" : \"=f\"(y) : \"f\"(x));", "y = x;")
                .replace("extern \"C\" ", "")
                .replaceAll("(?m)^static_assert\\(sizeof\\(PatchShared\\) == SHARED_BYTES.*$", "");
    }

    private static String text(String file) throws IOException {
        try (InputStream stream = PatchScan.class.getResourceAsStream(file)) {
            return new String(stream.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private List<String> run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(new ArrayList<>(List.of(command))).directory(folder.toFile())
                .redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return output.lines().toList();
    }
}

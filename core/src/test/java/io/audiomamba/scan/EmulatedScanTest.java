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
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The kernels of {@link PatchScan} and {@link CudaScan} compiled as C++ for the CPU, a thread for each of a block's: for those
 * who have no GPU but a C++ compiler. Against double precision, and against what sanitizers know.
 */
class EmulatedScanTest {

    private static final String COMPILER = "g++";
    private static final String PROGRAM = "scan";
    private static final List<String> KERNELS = List.of("patch_scan_forward.cu", "patch_scan_backward.cu",
            "borders.cuh", "patch.cuh", "selective_scan_forward.cu", "selective_scan_backward.cu", "chunk.cuh",
            "step_size.cuh", "passes.cuh", "gradient_sums.cuh", "parameters.cuh", "softplus.cuh",
            "/io/audiomamba/torch/numbers.cuh");
    /** {@code tensor_cores.cuh} takes the place of the real one. */
    private static final List<String> EMULATION = List.of("cuda.h", "tensor_cores.cuh", "scan.h", "patch_scan.cpp",
            "selective_scan.cpp");
    /** Of results in bfloat16; sums over few tokens do not average its rounding away. */
    private static final double TOLERANCE = 5e-3;
    private static final double TOLERANCE_OF_FLOAT32 = 1e-5;

    private static final long MOST_MINUTES = 5;

    @TempDir
    private Path folder;

    /** Fused in one tile and in two, and not fused; more patches than blocks; along the borders several images, and rounds. */
    @ParameterizedTest
    @CsvSource({"6,thread,late,1,80,128,32,1", "12,address,early,2,80,64,32,7", "14,thread,early,1,16,16,32,2",
            "24,address,late,1,48,16,64,2", "24,thread,late,3,16,16,64,1", "6,thread,late,3,16,8,64,2",
            "30,address,early,1,16,16,96,1"})
    void patchesAreRight(int rank, String sanitizer, String copies, int batch, int height, int width, int channels,
            int blocks) throws IOException, InterruptedException {
        ScanInputs in = ScanInputs.random(batch, height, width, channels, rank, 1);
        List<String> definitions = new ArrayList<>(PatchScan.definitions(in));
        definitions.addAll(List.of("TYPE=1", "LATE_COPIES=" + ("late".equals(copies) ? 1 : 0)));
        List<String> lines = run("patch_scan", sanitizer, definitions, in, blocks);
        assertThat(lines.getFirst()).isEqualTo(PatchScan.forwardBytes(in) + " " + PatchScan.backwardBytes(in) + " "
                + PatchScan.Borders.of(in).sharedBytes());
        assertRight(lines.subList(1, lines.size()), in, definitions.contains("FUSED=1"), TOLERANCE);
    }

    /**
     * One state and many, whose blocks go through one chunk or through all; with tensor cores and without; fused and not; channels
     * that are not there, or of several blocks, and last chunks that are not full; chunks that are shorter for wide tables.
     */
    @ParameterizedTest
    @CsvSource({"1,48,1,true,thread,1,8,8,64,0", "1,3,1,true,address,1,9,13,40,0", "2,6,0,false,address,2,7,11,33,0",
            "16,6,1,true,thread,1,9,8,64,1", "16,20,1,true,address,1,10,8,40,1", "5,6,1,true,thread,1,8,9,32,0",
            "1,6,1,true,address,1,5,9,130,0", "16,64,0,false,address,1,5,7,33,0", "64,6,1,true,address,1,3,9,40,0"})
    void chunksAreRight(int states, int rank, int type, boolean tensorCores, String sanitizer, int batch, int height,
            int width, int channels, int whole) throws IOException, InterruptedException {
        ScanInputs in = ScanInputs.random(batch, height, width, channels, rank, states);
        List<String> definitions = new ArrayList<>(
                CudaScan.definitions(in, CudaScan.Cut.of(in, tensorCores), type, tensorCores));
        boolean fused = definitions.contains("FUSED=1");
        definitions.add("LATE_COPIES=0");
        assertRight(run("selective_scan", sanitizer, definitions, in, whole), in, fused,
                type == 0 ? TOLERANCE_OF_FLOAT32 : TOLERANCE);
    }

    /** y, tokens; columns of projections, rows of parameters; or those without the rank, and the step sizes'. */
    private static void assertRight(List<String> lines, ScanInputs in, boolean fused, double tolerance) {
        int states = in.stateSize();
        int results = fused
                ? 2 + (in.rank() + 2 * states) + (states + 2 + in.rank())
                : 2 + 2 * states + (states + 2) + 1;
        assertThat(lines).hasSize(results).allSatisfy(
                line -> assertThat(Double.parseDouble(line.split(" ")[1])).as(line).isBetween(0.0, tolerance));
    }

    /** What a program prints about such a scan. */
    private List<String> run(String program, String sanitizer, List<String> definitions, ScanInputs in, int argument)
            throws IOException, InterruptedException {
        assumeTrue(compiles(sanitizer),
                "no " + COMPILER + " with C++20 here, or programs with its sanitizer " + sanitizer + " do not start");
        for (String file : EMULATION) {
            Files.writeString(folder.resolve(file), text("emulated/" + file));
        }
        for (String file : KERNELS) {
            Files.writeString(folder.resolve(Path.of(file).getFileName()), forACpu(text(file)));
        }
        List<String> command = compiler(sanitizer, program + ".cpp");
        definitions.forEach(definition -> command.add("-D" + definition));
        assertThat(run(command)).as(output()).isTrue();
        assertThat(run(Stream.concat(Stream.of("./" + PROGRAM),
                IntStream.of(in.batch(), in.height(), in.width(), in.channels(), argument).mapToObj(String::valueOf))
                .toList())).as(output()).isTrue();
        return output().lines().toList();
    }

    private boolean compiles(String sanitizer) throws IOException, InterruptedException {
        if (Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
                .noneMatch(path -> Files.isExecutable(Path.of(path, COMPILER)))) {
            return false;
        }
        Files.writeString(folder.resolve("nothing.cpp"),
                "#include <pthread.h>\n#include <version>\nstatic_assert(__cpp_concepts);\nint main() {}\n");
        // A sanitizer may not find its memory free on a machine.
        return run(compiler(sanitizer, "nothing.cpp")) && run(List.of("./" + PROGRAM));
    }

    /** What a call that is not inlined returns into memory, g++ hides from sanitizers; small functions it inlines from -O2 on. */
    private static List<String> compiler(String sanitizer, String source) {
        return new ArrayList<>(List.of(COMPILER, "-std=c++20", "-O2", "-g", "-w", "-pthread", "-fno-strict-aliasing",
                "-fsanitize=" + sanitizer, "-o", PROGRAM, source));
    }

    /** What is of the GPU alone, or said in its own words. */
    private static String forACpu(String source) {
        return source.replace("extern __shared__ uint4 dynamic[];", "#define dynamic ((uint4*)dynamicMemory)")
                .replace("#if __CUDA_ARCH__ >= 900", "#if 1")
                .replace("asm volatile(\"griddepcontrol.wait;\" : : : \"memory\");", "allAwaited = true;")
                .replace("asm volatile(\"griddepcontrol.launch_dependents;\" : : : \"memory\");", "")
                .replace("asm volatile(\"mov.f32 %0, %1;\" : \"=f\"(y) : \"f\"(x));", "y = x;")
                .replace("asm(\"ex2.approx.ftz.f32 %0, %1;\" : \"=f\"(y) : \"f\"(x));", "y = std::exp2(x);")
                .replace("asm(\"mul.wide.u32 %0, %1, %2;\" : \"=l\"(z) : \"r\"(x), \"r\"(y));",
                        "z = (unsigned long long)x * y;")
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

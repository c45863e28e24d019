package io.audiomamba.scan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.audiomamba.Errors;
import io.audiomamba.Gpu;
import io.audiomamba.torch.CudaGraph;
import io.audiomamba.torch.DeviceStream;
import java.util.Arrays;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The kernel for GPUs against the oracle on the CPU in double precision. */
class CudaScanTest {

    private static final String[] OPERANDS = {"tokens", "projections", "dtWeight", "dtBias", "aLogs", "skip"};

    private Device gpu;
    private ScanKernel cuda;
    private final ScanKernel oracle = new TorchScan();
    private PointerScope scope;

    @BeforeEach
    void begin() {
        gpu = Gpu.orSkip();
        cuda = ScanKernels.named("cuda", gpu);
        scope = new PointerScope();
        torch.manual_seed(7);
    }

    @AfterEach
    void end() {
        if (scope != null) {
            scope.close();
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1,7,3,1,1", "2,7,1,5,2,4", "3,4,4,33,3,16", "1,64,64,96,6,1", "300,9,9,40,3,4",
            "2,9,8,130,64,16", "300,5,9,64,64,16", "1,9,8,40,96,1"})
    void equalsTheOracleInFloat32(int batch, int height, int width, int channels, int rank, int state) {
        compare(ScanInputs.random(batch, height, width, channels, rank, state), ScalarType.Float, false, 1e-5);
    }

    @ParameterizedTest
    @CsvSource({"2,17,1,96,6,1", "1,33,65,192,6,16", "2,16,16,384,23,1", "2,8,8,768,48,1", "1,1,300,96,3,16",
            "300,9,9,64,6,16", "600,13,10,32,3,1", "2,16,16,64,5,1", "2,16,12,64,4,1", "1,16,16,48,4,1",
            "1,16,16,32,32,1"})
    void equalsTheOracleInBfloat16(int batch, int height, int width, int channels, int rank, int state) {
        compare(ScanInputs.random(batch, height, width, channels, rank, state), ScalarType.BFloat16, false, 3e-2);
    }

    /** Patches: one; more than blocks, in steps of 32 and 96 channels; lines that take several rounds, several images a block. */
    @ParameterizedTest
    @CsvSource({"1,16,8,32,2", "3,48,16,96,6", "2,32,24,64,4", "2,16,24,32,8", "2,32,32,192,12", "1,80,64,32,6",
            "30,16,16,384,12", "80,16,64,64,2", "1,80,64,32,14", "2,16,16,384,24", "3,48,16,64,16", "1,80,64,32,30",
            "30,16,16,384,24"})
    void equalsTheOracleByPatchesInBfloat16(int batch, int height, int width, int channels, int rank) {
        compare(ScanInputs.random(batch, height, width, channels, rank, 1), ScalarType.BFloat16, true, 3e-2);
    }

    @ParameterizedTest
    @CsvSource({"2,32,16,64,6", "1,16,32,96,10", "1,48,64,32,4", "40,16,64,32,14", "2,32,16,64,22"})
    void equalsTheOracleByPatchesInFloat16(int batch, int height, int width, int channels, int rank) {
        compare(ScanInputs.random(batch, height, width, channels, rank, 1), ScalarType.Half, true, 5e-3);
    }

    @ParameterizedTest
    @CsvSource({"1,13,3,47,6,1", "2,5,11,17,3,16"})
    void equalsTheOracleInFloat16(int batch, int height, int width, int channels, int rank, int state) {
        compare(ScanInputs.random(batch, height, width, channels, rank, state), ScalarType.Half, false, 5e-3);
    }

    /** Kernels that read vectors of values must not mind where a tensor begins. */
    @ParameterizedTest
    @CsvSource({"16,8,32,2,true", "9,8,40,6,false"})
    void takesTensorsThatBeginAnywhere(int height, int width, int channels, int rank, boolean byPatches) {
        ScanInputs in = ScanInputs.random(1, height, width, channels, rank, 1).map(t -> t.to(gpu, ScalarType.BFloat16));
        ScanInputs moved = in.map(ScanInputsTest::atOddAddress);
        Tensor gradient = torch.randn_like(in.tokens());
        assertThat(PatchScan.suits(moved)).isEqualTo(byPatches);
        ScanKernel.Result result = cuda.forward(in, true), again = cuda.forward(moved, true);
        assertThat(again.merged().equal(result.merged())).isTrue();
        Tensor[] expected = gradients(in, result, gradient);
        Tensor[] gradients = gradients(moved, again, ScanInputsTest.atOddAddress(gradient));
        for (int i = 0; i < expected.length; i++) {
            assertThat(gradients[i].equal(expected[i])).as(OPERANDS[i]).isTrue();
        }
    }

    /**
     * By patches and by chunks, fused and not, with other operands than while it was recorded. If operands begin anywhere, what
     * a recording has before the scan are copies, not kernels.
     */
    @ParameterizedTest
    @CsvSource({"32,16,64,6,false", "32,16,64,24,false", "9,11,40,6,false", "9,11,40,24,false", "32,16,64,6,true",
            "32,16,64,24,true", "9,11,40,6,true"})
    void isTheSameWhenItIsRecorded(int height, int width, int channels, int rank, boolean anywhere) {
        try (var _ = new DeviceStream(gpu)) {
            ScanInputs[] given = new ScanInputs[2];
            Tensor[][] expected = new Tensor[given.length][];
            Tensor gradient = torch.randn(2, height, width, channels).to(gpu, ScalarType.BFloat16);
            for (int i = 0; i < given.length; i++) {
                given[i] = ScanInputs.random(2, height, width, channels, rank, 1).to(gpu, ScalarType.BFloat16);
                expected[i] = results(given[i], gradient);
            }
            ScanInputs in = given[0].map(tensor -> anywhere ? ScanInputsTest.atOddAddress(tensor) : tensor.clone());
            Tensor recordedGradient = anywhere ? ScanInputsTest.atOddAddress(gradient) : gradient;
            Tensor[][] recorded = new Tensor[1][];
            try (CudaGraph graph = new CudaGraph(gpu, () -> recorded[0] = results(in, recordedGradient))) {
                for (int i : new int[] {1, 0}) {
                    for (int operand = 0; operand < OPERANDS.length; operand++) {
                        in.tensors()[operand].copy_(given[i].tensors()[operand]);
                    }
                    graph.launch();
                    for (int j = 0; j < expected[i].length; j++) {
                        assertThat(recorded[0][j].equal(expected[i][j])).as("result " + j + " of operands " + i)
                                .isTrue();
                    }
                }
            }
        }
    }

    /** y, then the gradients of the operands. */
    private Tensor[] results(ScanInputs inputs, Tensor gradient) {
        ScanKernel.Result result = cuda.forward(inputs, true);
        return Stream.concat(Stream.of(result.merged()), Arrays.stream(gradients(inputs, result, gradient)))
                .toArray(Tensor[]::new);
    }

    private void compare(ScanInputs random, ScalarType type, boolean byPatches, double tolerance) {
        Tensor[] rounded = random.tensors();
        rounded[0] = rounded[0].to(type);
        rounded[1] = rounded[1].to(type);
        ScanInputs there = ScanInputs.of(rounded).map(t -> t.to(gpu, t.scalar_type().intern()));
        ScanInputs exact = ScanInputs.of(rounded).map(t -> t.to(ScalarType.Double));
        Tensor gradient = torch.randn_like(random.tokens()).to(type);
        assumeTrue(!byPatches || PatchScan.fits(there),
                "this GPU has less shared memory than patches of this rank need");
        assertThat(PatchScan.suits(there)).isEqualTo(byPatches);
        ScanKernel.Result result = cuda.forward(there, true);
        assertThat(cuda.forward(there, false).merged().equal(result.merged())).as("y in " + type + " alone").isTrue();
        assertThat(Errors.relative(result.merged(), oracle.forward(exact, false).merged())).as("y in " + type)
                .isLessThan(tolerance);
        Tensor[] first = gradients(there, result, gradient);
        Tensor[] expected = oracle.backward(exact, null, gradient.to(ScalarType.Double)).tensors();
        Tensor[] again = gradients(there, cuda.forward(there, true), gradient);
        for (int i = 0; i < expected.length; i++) {
            assertThat(Errors.relative(first[i], expected[i])).as(OPERANDS[i] + " in " + type).isLessThan(tolerance);
            assertThat(first[i].equal(again[i])).as(OPERANDS[i] + " again").isTrue();
        }
    }

    private Tensor[] gradients(ScanInputs inputs, ScanKernel.Result result, Tensor gradient) {
        return cuda.backward(inputs, result.kept(), gradient.to(gpu, gradient.scalar_type().intern())).tensors();
    }
}

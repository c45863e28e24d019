package io.audiomamba.scan;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.Errors;
import io.audiomamba.Gpu;
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
    @CsvSource({"1,1,7,3,1,1", "2,7,1,5,2,4", "3,4,4,33,3,16", "1,64,64,96,6,1", "300,9,9,40,3,4"})
    void equalsTheOracleInFloat32(int batch, int height, int width, int channels, int rank, int state) {
        compare(ScanInputs.random(batch, height, width, channels, rank, state), ScalarType.Float, 1e-5);
    }

    @ParameterizedTest
    @CsvSource({"2,17,1,96,6,1", "1,33,65,192,6,16", "2,16,16,384,24,1", "2,8,8,768,48,1", "1,1,300,96,3,16",
            "300,9,9,64,6,16", "600,13,10,32,3,1", "3,48,16,96,6,1", "2,32,24,64,4,1", "1,16,8,32,2,1",
            "2,32,32,192,12,1",
            "1,160,64,32,6,1", "9,64,64,32,6,1"})
    void equalsTheOracleInBfloat16(int batch, int height, int width, int channels, int rank, int state) {
        compare(ScanInputs.random(batch, height, width, channels, rank, state), ScalarType.BFloat16, 3e-2);
    }

    @ParameterizedTest
    @CsvSource({"1,13,3,47,6,1", "2,5,11,17,3,16", "2,32,16,64,6,1", "1,16,32,96,10,1"})
    void equalsTheOracleInFloat16(int batch, int height, int width, int channels, int rank, int state) {
        compare(ScanInputs.random(batch, height, width, channels, rank, state), ScalarType.Half, 5e-3);
    }

    private void compare(ScanInputs random, ScalarType type, double tolerance) {
        Tensor[] rounded = random.tensors();
        rounded[0] = rounded[0].to(type);
        rounded[1] = rounded[1].to(type);
        ScanInputs there = ScanInputs.of(rounded).map(t -> t.to(gpu, t.scalar_type().intern()));
        ScanInputs exact = ScanInputs.of(rounded).map(t -> t.to(ScalarType.Double));
        Tensor gradient = torch.randn_like(random.tokens()).to(type);
        ScanKernel.Result result = cuda.forward(there, true);
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

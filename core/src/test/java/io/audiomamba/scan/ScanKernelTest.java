package io.audiomamba.scan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.Errors;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Natives;
import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The fast kernel against the oracle, and the oracle against differences. */
class ScanKernelTest {

    private static final long SEED = 20260901;
    private static final Device CPU = Devices.cpu();
    private static final String[] OPERANDS = {"tokens", "projections", "dtWeight", "dtBias", "aLogs", "skip"};

    private final ScanKernel vector = ScanKernels.named("vector", CPU);
    private final ScanKernel oracle = ScanKernels.named("torch", CPU);
    private PointerScope scope;

    @BeforeEach
    void seed() {
        scope = new PointerScope();
        torch.manual_seed(SEED);
    }

    @AfterEach
    void free() {
        scope.close();
        Natives.setThreads(2);
    }

    private static ScanInputs inDouble(ScanInputs inputs) {
        return inputs.map(tensor -> tensor.to(ScalarType.Double));
    }

    @ParameterizedTest
    @CsvSource({"1,1,1,1,1,1", "1,1,7,3,1,1", "2,7,1,5,2,4", "2,5,11,17,2,1", "1,13,3,47,3,2", "3,4,4,33,3,16",
            "1,9,8,100,7,3", "2,17,1,96,6,1", "1,2,31,193,13,5", "1,5,7,130,5,2"})
    void equalsTheOracle(int batch, int height, int width, int channels, int rank, int state) {
        ScanInputs inputs = ScanInputs.random(batch, height, width, channels, rank, state);
        Tensor gradient = torch.randn(batch, height, width, channels);
        ScanKernel.Result result = vector.forward(inputs, true);
        assertThat(Errors.relative(result.merged(), oracle.forward(inDouble(inputs), false).merged())).isLessThan(2e-6);
        Tensor[] actual = vector.backward(inputs, result.kept(), gradient).tensors();
        Tensor[] expected = oracle.backward(inDouble(inputs), null, gradient.to(ScalarType.Double)).tensors();
        for (int i = 0; i < actual.length; i++) {
            assertThat(Errors.relative(actual[i], expected[i])).as(OPERANDS[i]).isLessThan(1e-5);
        }
    }

    @Test
    void theOraclesGradientsAreDifferenceQuotients() {
        ScanInputs inputs = inDouble(ScanInputs.random(2, 3, 2, 3, 2, 2));
        Tensor gradient = torch.randn(2, 3, 2, 3).to(ScalarType.Double);
        double step = 1e-6;
        Tensor[] gradients = oracle.backward(inputs, null, gradient).tensors();
        for (int operand = 0; operand < gradients.length; operand++) {
            double[] values = Tensors.toDoubles(inputs.tensors()[operand]);
            double[] quotients = new double[values.length];
            for (int i = 0; i < values.length; i++) {
                quotients[i] = (loss(inputs, operand, values, i, step, gradient)
                        - loss(inputs, operand, values, i, -step, gradient)) / (2 * step);
            }
            assertThat(Errors.relative(gradients[operand], Tensors.of(quotients, Tensors.shape(gradients[operand]))))
                    .as(OPERANDS[operand]).isLessThan(1e-7);
        }
    }

    private double loss(ScanInputs inputs, int operand, double[] values, int index, double step, Tensor gradient) {
        double[] moved = values.clone();
        moved[index] += step;
        Tensor[] tensors = inputs.tensors();
        tensors[operand] = Tensors.of(moved, Tensors.shape(tensors[operand]));
        return oracle.forward(ScanInputs.of(tensors), false).merged().mul(gradient).sum().item_double();
    }

    /** Bit for bit: tasks do not depend on the number of threads. */
    @Test
    void threadsDoNotChangeTheResult() {
        ScanInputs inputs = ScanInputs.random(3, 9, 7, 200, 4, 2);
        Tensor gradient = torch.randn(3, 9, 7, 200);
        Natives.setThreads(1);
        ScanKernel.Result one = vector.forward(inputs, true);
        Tensor[] oneGradients = vector.backward(inputs, one.kept(), gradient).tensors();
        for (int threads : new int[] {2, 3, 8}) {
            Natives.setThreads(threads);
            ScanKernel.Result many = vector.forward(inputs, true);
            assertThat(Tensors.toFloats(many.merged())).isEqualTo(Tensors.toFloats(one.merged()));
            Tensor[] gradients = vector.backward(inputs, many.kept(), gradient).tensors();
            for (int i = 0; i < gradients.length; i++) {
                assertThat(Tensors.toFloats(gradients[i])).as(OPERANDS[i]).isEqualTo(Tensors.toFloats(oneGradients[i]));
            }
        }
    }

    /** Operands that are views of larger tensors, as a model's are. */
    @Test
    void operandsMayBeStrided() {
        ScanInputs inputs = ScanInputs.random(2, 5, 6, 24, 2, 3);
        ScanInputs strided = inputs.map(tensor -> torch.stack(
                new org.bytedeco.pytorch.TensorVector(tensor, tensor), -1).select(-1, 1));
        assertThat(strided.tokens().is_contiguous()).isFalse();
        assertThat(Tensors.toFloats(vector.forward(strided, false).merged()))
                .isEqualTo(Tensors.toFloats(vector.forward(inputs, false).merged()));
    }

    @Test
    void bfloat16InBfloat16Out() {
        ScanInputs inputs = ScanInputs.random(1, 6, 5, 32, 2, 1);
        ScanInputs half = inputs.map(tensor -> tensor.to(ScalarType.BFloat16));
        Tensor exact = oracle.forward(inDouble(half), false).merged();
        for (ScanKernel kernel : new ScanKernel[] {vector, oracle}) {
            ScanKernel.Result result = kernel.forward(half, true);
            assertThat(result.merged().scalar_type().intern()).isEqualTo(ScalarType.BFloat16);
            assertThat(Errors.relative(result.merged(), exact)).as(kernel.name()).isLessThan(0x1p-8);
            for (Tensor gradient : kernel.backward(half, result.kept(), half.tokens()).tensors()) {
                assertThat(gradient.scalar_type().intern()).isEqualTo(ScalarType.BFloat16);
            }
        }
    }

    /** A value that is not a number is not hidden, and stays in its image and its channel. */
    @Test
    void notANumberStaysWhereItIs() {
        ScanInputs inputs = ScanInputs.random(2, 4, 4, 20, 2, 1);
        inputs.tokens().select(0, 1).select(2, 19).fill_(new org.bytedeco.pytorch.Scalar(Double.NaN));
        Tensor merged = vector.forward(inputs, false).merged();
        assertThat(merged.select(0, 1).select(2, 19).isnan().all().item_bool()).isTrue();
        assertThat(merged.select(0, 1).narrow(2, 0, 19).isnan().any().item_bool()).isFalse();
        assertThat(merged.select(0, 0).isnan().any().item_bool()).isFalse();
    }

    /** Step sizes far out on either side of softplus. */
    @Test
    void extremeStepSizes() {
        ScanInputs inputs = ScanInputs.random(1, 5, 5, 16, 1, 2);
        inputs.dtBias().select(0, 0).fill_(new org.bytedeco.pytorch.Scalar(60.0));
        inputs.dtBias().select(0, 1).fill_(new org.bytedeco.pytorch.Scalar(-60.0));
        assertThat(Errors.relative(vector.forward(inputs, false).merged(),
                oracle.forward(inDouble(inputs), false).merged()))
                .isLessThan(2e-6);
    }

    @Test
    void gradientsFlowThroughTheFusedOperation() {
        double[][] gradients = new double[2][];
        ScanInputs inputs = ScanInputs.random(1, 3, 4, 8, 1, 2);
        for (int k = 0; k < 2; k++) {
            ScanKernel kernel = k == 0 ? vector : oracle;
            try (var _ = new GradientTape()) {
                ScanInputs leaves = inputs.map(tensor -> tensor.detach().clone().requires_grad_(true));
                SelectiveScan2d.apply(kernel, leaves).square().sum().backward();
                gradients[k] = Arrays.stream(leaves.tensors()).flatMapToDouble(t -> Arrays.stream(
                        Tensors.toDoubles(t.grad()))).toArray();
            }
        }
        for (int i = 0; i < gradients[0].length; i++) {
            assertThat(gradients[0][i]).isCloseTo(gradients[1][i],
                    org.assertj.core.data.Offset.offset(1e-4 * Math.max(1, Math.abs(gradients[1][i]))));
        }
    }

    @Test
    void shapesAreChecked() {
        ScanInputs good = ScanInputs.random(1, 2, 2, 4, 1, 1);
        assertThatThrownBy(() -> new ScanInputs(good.tokens(), good.projections(), good.dtWeight(), good.dtBias(),
                good.aLogs(), torch.zeros(3))).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("skip has shape [3], not [16]");
    }

    @Test
    void anUnknownKernelIsNamed() {
        assertThatThrownBy(() -> ScanKernels.named("magic", CPU)).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("'magic'").hasMessageContaining("vector, torch");
    }
}

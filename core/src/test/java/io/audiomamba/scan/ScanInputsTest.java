package io.audiomamba.scan;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;

class ScanInputsTest {

    @Test
    void kernelsReadParametersInFloat32AndResultsGoBackToEachType() {
        try (PointerScope _ = new PointerScope()) {
            ScanInputs doubles = ScanInputs.random(1, 2, 3, 4, 2, 1).map(t -> t.to(ScalarType.Double));
            ScanInputs read = doubles.map(t -> t.transpose(0, -1).contiguous().transpose(0, -1))
                    .forKernels(ScalarType.BFloat16);
            assertThat(types(read)).containsExactly(ScalarType.BFloat16, ScalarType.BFloat16, ScalarType.Float,
                    ScalarType.Float, ScalarType.Float, ScalarType.Float);
            assertThat(read.tensors()).allMatch(Tensor::is_contiguous);
            ScanInputs back = read.inTypesOf(doubles);
            assertThat(types(back)).containsOnly(ScalarType.Double);
            assertThat(back.dtWeight().equal(doubles.dtWeight().to(ScalarType.Float).to(ScalarType.Double))).isTrue();
        }
    }

    @Test
    void kernelsReadWholeVectors() {
        try (PointerScope _ = new PointerScope()) {
            ScanInputs inputs = ScanInputs.random(1, 2, 3, 4, 2, 1);
            ScanInputs moved = inputs.map(ScanInputsTest::atOddAddress);
            ScanInputs read = moved.forKernels(ScalarType.Float);
            assertThat(moved.tensors()).noneMatch(ScanInputsTest::isAligned);
            assertThat(read.tensors()).allMatch(ScanInputsTest::isAligned);
            assertThat(read.projections().equal(inputs.projections())).isTrue();
            assertThat(read.forKernels(ScalarType.Float).tokens().data_ptr()).isEqualTo(read.tokens().data_ptr());
        }
    }

    private static boolean isAligned(Tensor tensor) {
        return tensor.data_ptr().address() % 16 == 0;
    }

    /** A copy that begins behind another number. */
    static Tensor atOddAddress(Tensor tensor) {
        return torch.cat(new TensorVector(tensor.new_zeros(1), tensor.flatten())).narrow(0, 1, tensor.numel())
                .view(Tensors.shape(tensor));
    }

    private static List<ScalarType> types(ScanInputs inputs) {
        return Arrays.stream(inputs.tensors()).map(tensor -> tensor.scalar_type().intern()).toList();
    }
}

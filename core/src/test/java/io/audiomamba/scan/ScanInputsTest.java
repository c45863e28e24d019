package io.audiomamba.scan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
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

    private static List<ScalarType> types(ScanInputs inputs) {
        return Arrays.stream(inputs.tensors()).map(tensor -> tensor.scalar_type().intern()).toList();
    }
}

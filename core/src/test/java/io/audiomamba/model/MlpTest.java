package io.audiomamba.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.Errors;
import io.audiomamba.fused.Input;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.GradientTape;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

class MlpTest {

    /** Training keeps the input of GELU and goes another way. */
    @Test
    void isTheSameWithAndWithoutGradients() {
        try (var _ = new PointerScope(); Parameters parameters = new Parameters(Parameters.Source.random(1))) {
            Mlp mlp = new Mlp(parameters.root(), 24, 100, 0);
            parameters.tensors().values().forEach(tensor -> tensor.normal_().requires_grad_(true));
            Pass pass = new Pass(ScanKernels.best(Devices.cpu()), false);
            Tensor x = torch.randn(2, 5, 31, 24);
            Tensor inference;
            try (var _ = new NoGradGuard()) {
                inference = mlp.forward(Input.of(x), pass);
            }
            try (var _ = new GradientTape()) {
                Tensor training = mlp.forward(Input.of(x), pass);
                assertThat(training.requires_grad()).isTrue();
                assertThat(Errors.relative(inference, training)).isLessThan(1e-6);
            }
        }
    }
}

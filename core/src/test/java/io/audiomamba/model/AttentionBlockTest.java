package io.audiomamba.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;

class AttentionBlockTest {

    private static final ModelConfig CONFIG = Variants.named("nano_s1").forAudio(InputKind.FOLDED_LOG_MEL, 5,
            HeadKind.TOKEN_SEMANTIC);

    /** x + proj(softmax(q k' / sqrt(32)) v), and then x + mlp(norm(x)), written out for one head after the other. */
    @Test
    void isTheFormula() {
        try (var _ = new PointerScope();
                var _ = new NoGradGuard();
                Parameters parameters = new Parameters(Parameters.Source.random(1))) {
            int channels = 64;
            AttentionBlock block = new AttentionBlock(parameters.root(), CONFIG, channels, 0);
            parameters.tensors().values().forEach(tensor -> tensor.normal_(0, 0.3,
                    new org.bytedeco.pytorch.GeneratorOptional(torch.make_generator_cpu(tensor.numel()))));
            Tensor x = torch.randn(2, 3, 4, channels);
            Tensor tokens = normalised(x, parameters, "norm").flatten(1, 2);
            Tensor qkv = torch.linear(tokens, parameters.tensors().get("qkv.weight"),
                    new org.bytedeco.pytorch.TensorOptional(parameters.tensors().get("qkv.bias")));
            Tensor heard = torch.zeros_like(tokens);
            for (int head = 0; head < 2; head++) {
                Tensor q = qkv.narrow(2, 32L * head, 32);
                Tensor k = qkv.narrow(2, channels + 32L * head, 32);
                Tensor v = qkv.narrow(2, 2L * channels + 32L * head, 32);
                Tensor weights = torch.softmax(q.matmul(k.transpose(1, 2)).div(new Scalar(Math.sqrt(32))), 2);
                heard.narrow(2, 32L * head, 32).copy_(weights.matmul(v));
            }
            Tensor mixed = x.add(linear(heard, parameters, "proj").view(2, 3, 4, channels));
            Tensor hidden = torch.gelu(linear(normalised(mixed, parameters, "norm2"), parameters, "mlp.fc1"));
            Tensor expected = mixed.add(linear(hidden, parameters, "mlp.fc2"));
            Tensor actual = block.forward(x, new Pass(ScanKernels.best(Devices.cpu()), false));
            assertThat(Tensors.toFloats(actual)).containsExactly(Tensors.toFloats(expected), within(2e-4f));
        }
    }

    private static Tensor linear(Tensor x, Parameters parameters, String name) {
        return torch.linear(x, parameters.tensors().get(name + ".weight"),
                new org.bytedeco.pytorch.TensorOptional(parameters.tensors().get(name + ".bias")));
    }

    private static Tensor normalised(Tensor x, Parameters parameters, String name) {
        return torch.layer_norm(x, new long[] {x.size(3)},
                new org.bytedeco.pytorch.TensorOptional(parameters.tensors().get(name + ".weight")),
                new org.bytedeco.pytorch.TensorOptional(parameters.tensors().get(name + ".bias")), 1e-5, false);
    }

    @Test
    void standsAfterTheStagesThatTheConfigurationNames() {
        try (var _ = new PointerScope();
                var _ = new NoGradGuard();
                Parameters plain = new Parameters(Parameters.Source.random(1));
                Parameters more = new Parameters(Parameters.Source.random(1))) {
            new AudioMamba(CONFIG, plain);
            AudioMamba model = new AudioMamba(CONFIG.withAttentionAfter(List.of(1, 3)), more);
            assertThat(more.tensors().keySet()).containsAll(plain.tensors().keySet());
            assertThat(more.tensors().keySet().stream().filter(name -> !plain.tensors().containsKey(name)))
                    .hasSize(24).allMatch(name -> name.matches("layers\\.[13]\\.attention\\..*"));
            Tensor scores = model.forward(torch.randn(1, 101, 64), new Pass(ScanKernels.best(Devices.cpu()), false))
                    .clip();
            assertThat(Tensors.shape(scores)).containsExactly(1, 5);
        }
        assertThat(ComputeCost.ofWindow(CONFIG.withAttentionAfter(List.of(1)))).isGreaterThan(
                ComputeCost.ofWindow(CONFIG));
    }

    @Test
    void survivesJsonAndRefusesStagesThatAreNotThere() {
        ModelConfig config = CONFIG.withAttentionAfter(List.of(0, 2));
        assertThat(ModelConfigJson.read(ModelConfigJson.write(config))).isEqualTo(config);
        assertThat(ModelConfigJson.write(CONFIG).has("attention_after")).isFalse();
        assertThatThrownBy(() -> CONFIG.withAttentionAfter(List.of(4))).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("attention_after").hasMessageContaining("0 to 3");
    }
}

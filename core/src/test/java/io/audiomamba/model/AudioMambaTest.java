package io.audiomamba.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AudioMambaTest {

    private static final Pass INFERENCE = new Pass(ScanKernels.best(Devices.cpu()), false);
    private static final Pass TRAINING = new Pass(ScanKernels.best(Devices.cpu()), true);

    private PointerScope scope;

    @BeforeEach
    void seed() {
        scope = new PointerScope();
        torch.manual_seed(7);
    }

    @AfterEach
    void free() {
        scope.close();
    }

    @ParameterizedTest
    @CsvSource({"nano_s1,33,47", "nano_v0,33,47", "nano_v0,71,32", "nano_v2,37,95", "nano_v2_defaults,39,64",
            "nano_bn,64,33"})
    void anyHeightAndWidth(String variant, int height, int width) {
        try (Parameters parameters = new Parameters(Parameters.Source.random(1)); var _ = new NoGradGuard()) {
            AudioMamba model = new AudioMamba(Variants.named(variant), parameters);
            Tensor logits = model.forward(torch.randn(2, 3, height, width), INFERENCE).clip();
            assertThat(Tensors.shape(logits)).containsExactly(2, 1000);
            assertThat(Tensors.toDoubles(logits)).doesNotContain(Double.NaN, Double.POSITIVE_INFINITY,
                    Double.NEGATIVE_INFINITY);
        }
    }

    @Test
    void soundOfAnyLengthUpToTheWindow() {
        ModelConfig config = Variants.named("nano_v0").forAudio(InputKind.FOLDED_LOG_MEL, 5,
                HeadKind.TOKEN_SEMANTIC);
        try (Parameters parameters = new Parameters(Parameters.Source.random(1)); var _ = new NoGradGuard()) {
            AudioMamba model = new AudioMamba(config, parameters);
            for (int frames : new int[] {2, 501, 1001, 1024}) {
                Head.Output output = model.forward(torch.randn(1, frames, 64), INFERENCE);
                assertThat(Tensors.shape(output.clip())).containsExactly(1, 5);
                assertThat(Tensors.shape(output.frames())).containsExactly(1, 32, 5);
                assertThat(Tensors.shape(output.latent())).containsExactly(1, 128);
            }
            assertThatThrownBy(() -> model.forward(torch.randn(1, 1025, 64), INFERENCE))
                    .isInstanceOf(ConfigurationException.class).hasMessageContaining("1025");
        }
    }

    /** A row of a batch gets what it gets alone. */
    @Test
    void imagesOfABatchDoNotMix() {
        try (Parameters parameters = new Parameters(Parameters.Source.random(1)); var _ = new NoGradGuard()) {
            AudioMamba model = new AudioMamba(Variants.named("nano_bn"), parameters);
            Tensor images = torch.randn(3, 3, 48, 48);
            float[] together = Tensors.toFloats(model.forward(images, INFERENCE).clip().select(0, 1));
            float[] alone = Tensors.toFloats(model.forward(images.narrow(0, 1, 1), INFERENCE).clip());
            for (int i = 0; i < alone.length; i++) {
                assertThat(together[i]).isCloseTo(alone[i], org.assertj.core.data.Offset.offset(1e-5f));
            }
        }
    }

    @Test
    void dropPathLeavesOutBranchesOfSamples() {
        try (Parameters parameters = new Parameters(Parameters.Source.random(1)); var _ = new NoGradGuard()) {
            AudioMamba model = new AudioMamba(Variants.named("nano_s1").withDropPath(0.5), parameters);
            Tensor one = torch.randn(1, 3, 32, 32);
            Tensor drawn = model.dropPath(2, new SplittableRandom(3));
            float[] scales = Tensors.toFloats(drawn);
            assertThat(scales).contains(0, 1, 2).doesNotContain(Float.NaN);
            assertThat(drawn.select(0, 0).min().item_float()).as("the first branch stays").isEqualTo(1);

            Tensor plain = model.forward(one, INFERENCE).clip();
            Tensor kept = model.forward(one, INFERENCE.withDropPath(torch.ones_like(drawn.narrow(1, 0, 1)))).clip();
            assertThat(Tensors.toFloats(kept)).isEqualTo(Tensors.toFloats(plain));
            Tensor dropped = model.forward(torch.cat(new TensorVector(one, one), 0), INFERENCE.withDropPath(drawn))
                    .clip();
            assertThat(Tensors.toFloats(dropped.select(0, 0))).isNotEqualTo(Tensors.toFloats(plain.select(0, 0)))
                    .isNotEqualTo(Tensors.toFloats(dropped.select(0, 1)));
        }
    }

    @Test
    void dropPathKeepsTheMean() {
        try (Parameters parameters = new Parameters(Parameters.Source.random(1))) {
            AudioMamba model = new AudioMamba(Variants.named("nano_s1").withDropPath(0.5), parameters);
            Tensor means = model.dropPath(4000, new SplittableRandom(3)).mean(1);
            for (float mean : Tensors.toFloats(means)) {
                assertThat(mean).isCloseTo(1, within(0.06f));
            }
        }
    }

    @Test
    void batchStatisticsMoveInTrainingOnly() {
        try (Parameters parameters = new Parameters(Parameters.Source.random(1)); var _ = new NoGradGuard()) {
            AudioMamba model = new AudioMamba(Variants.named("nano_bn"), parameters);
            Tensor mean = parameters.tensors().get("patch_embed.2.running_mean");
            Tensor image = torch.randn(2, 3, 32, 32).add(new Scalar(3));
            model.forward(image, INFERENCE);
            assertThat(Tensors.toFloats(mean)).containsOnly(0);
            model.forward(image, TRAINING);
            assertThat(Tensors.toFloats(mean)).doesNotContain(0);
            assertThat(Tensors.toFloats(parameters.tensors().get("patch_embed.2.num_batches_tracked")))
                    .containsExactly(1);
        }
    }

    /** The gradient of a whole model along a random direction is the difference quotient. */
    @ParameterizedTest
    @CsvSource({"nano_s1", "nano_v0", "nano_v2"})
    void gradientsAreDifferenceQuotients(String variant) {
        try (Parameters parameters = new Parameters(Parameters.Source.random(1)); var _ = new GradientTape()) {
            AudioMamba model = new AudioMamba(Variants.named(variant), parameters);
            Tensor image = torch.randn(1, 3, 32, 32);
            Tensor weights = torch.randn(1, 1000);
            parameters.tensors().values().forEach(p -> p.requires_grad_(true));
            model.forward(image, INFERENCE).clip().mul(weights).sum().backward();
            double slope = 0;
            double step = 2e-3;
            try (var _ = new NoGradGuard()) {
                var directions = new java.util.LinkedHashMap<Tensor, Tensor>();
                for (Tensor p : parameters.tensors().values()) {
                    if (p.grad().defined()) {
                        Tensor direction = torch.randn_like(p).mul(p.square().mean().sqrt()).mul(new Scalar(0.1));
                        directions.put(p, direction);
                        slope += p.grad().mul(direction).sum().item_double();
                    }
                }
                double up = loss(model, image, weights, directions, step);
                double down = loss(model, image, weights, directions, -2 * step);
                assertThat((up - down) / (2 * step)).isCloseTo(slope,
                        org.assertj.core.data.Offset.offset(0.02 * Math.abs(slope) + 0.02));
            }
        }
    }

    private static double loss(AudioMamba model, Tensor image, Tensor weights,
            java.util.Map<Tensor, Tensor> directions, double step) {
        directions.forEach((p, direction) -> p.add_(direction, new Scalar(step)));
        return model.forward(image, INFERENCE).clip().mul(weights).sum().item_double();
    }

    @Test
    void newModelsBeginAsTheOfficialOnesDo() {
        try (Parameters parameters = new Parameters(Parameters.Source.random(3))) {
            new AudioMamba(Variants.named("nano_v0"), parameters);
            double[] dt = Arrays.stream(Tensors.toDoubles(parameters.tensors().get(
                    "layers.3.blocks.0.op.dt_projs_bias"))).map(b -> Math.log1p(Math.exp(b))).sorted().toArray();
            assertThat(dt[0]).isGreaterThan(0.000999);
            assertThat(dt[dt.length - 1]).isLessThan(0.1001);
            // Log-uniform: the median is the geometric mean of the ends.
            assertThat(Math.log10(dt[dt.length / 2])).isCloseTo(-2, org.assertj.core.data.Offset.offset(0.1));
            double[] a = Tensors.toDoubles(parameters.tensors().get("layers.0.blocks.0.op.A_logs").exp());
            for (int i = 0; i < a.length; i++) {
                assertThat(a[i]).isCloseTo(1 + i % 16, org.assertj.core.data.Offset.offset(1e-5));
            }
            assertThat(Tensors.toFloats(parameters.tensors().get("layers.0.blocks.0.op.Ds"))).containsOnly(1);
            double[] linear = Tensors.toDoubles(parameters.tensors().get("classifier.head.weight"));
            double deviation = Math.sqrt(Arrays.stream(linear).map(x -> x * x).average().orElseThrow());
            assertThat(deviation).isCloseTo(0.02, org.assertj.core.data.Offset.offset(2e-4));
        }
    }

    @Test
    void equalSeedsGiveEqualModels() {
        float[][] weights = new float[3][];
        long[] seeds = {5, 5, 6};
        for (int i = 0; i < seeds.length; i++) {
            try (Parameters parameters = new Parameters(Parameters.Source.random(seeds[i]))) {
                new AudioMamba(Variants.named("nano_s1"), parameters);
                weights[i] = Tensors.toFloats(parameters.tensors().get("classifier.head.weight"));
            }
        }
        assertThat(weights[0]).isEqualTo(weights[1]).isNotEqualTo(weights[2]);
    }
}

package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.model.Initializer;
import io.audiomamba.model.Parameters;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AdamWTest {

    private static final double LR = 0.01;

    private static Parameters parameters() {
        Parameters parameters = new Parameters(Parameters.Source.random(3));
        parameters.root().child("norm").parameter("weight", Initializer.ONES, 4);
        parameters.root().child("op").parameter("A_logs", Initializer.A_LOGS, 2, 3);
        parameters.root().child("fc").parameter("weight", Initializer.NORMAL, 3, 4);
        parameters.root().buffer("count", Initializer.ZEROS, 5);
        return parameters;
    }

    /** Loshchilov and Hutter's algorithm 2, in double precision, value by value. */
    private static final class Reference {
        private final double[] mean;
        private final double[] square;
        private int steps;

        Reference(int size) {
            mean = new double[size];
            square = new double[size];
        }

        void step(double[] values, float[] gradient, Recipe.Optimizer recipe, int decayed, double[] rates) {
            steps++;
            double norm = 0;
            for (float g : gradient) {
                norm += (double) g * g;
            }
            norm = Math.sqrt(norm);
            double scale = recipe.clipNorm() > 0 && norm > recipe.clipNorm() ? recipe.clipNorm() / norm : 1;
            for (int i = 0; i < values.length; i++) {
                double g = gradient[i] * scale;
                mean[i] = recipe.beta1() * mean[i] + (1 - recipe.beta1()) * g;
                square[i] = recipe.beta2() * square[i] + (1 - recipe.beta2()) * g * g;
                double unbiasedMean = mean[i] / (1 - Math.pow(recipe.beta1(), steps));
                double unbiasedSquare = square[i] / (1 - Math.pow(recipe.beta2(), steps));
                if (i < decayed) {
                    values[i] -= LR * rates[i] * recipe.weightDecay() * values[i];
                }
                values[i] -= LR * rates[i] * unbiasedMean / (Math.sqrt(unbiasedSquare) + 1e-8);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"optimizer.clip_norm=0", "optimizer.clip_norm=1.0", "optimizer.layer_decay=0.5"})
    void equalsTheReference(String setting) {
        Recipe.Optimizer recipe = TinyTraining.recipe(setting, "optimizer.weight_decay=0.1").optimizer();
        double other = recipe.layerDecay();
        try (Parameters parameters = parameters();
                var _ = new PointerScope();
                FlatParameters flat = new FlatParameters(parameters, Devices.cpu(),
                        name -> name.startsWith("fc") ? other : 1);
                AdamW optimizer = new AdamW(recipe, flat)) {
            assertThat(flat.decayed()).as("only fc.weight decays").isEqualTo(12);
            double[] expected = Tensors.toDoubles(flat.values());
            double[] rates = new double[expected.length];
            Arrays.fill(rates, 1);
            Arrays.fill(rates, 0, 12, other);
            Reference reference = new Reference(expected.length);
            Random random = new Random(1);
            for (int step = 0; step < 20; step++) {
                float[] gradient = new float[expected.length];
                for (int i = 0; i < gradient.length; i++) {
                    gradient[i] = (float) random.nextGaussian();
                }
                double norm = step(flat, optimizer, gradient);
                assertThat(norm).isCloseTo(norm(gradient), within(1e-5));
                reference.step(expected, gradient, recipe, 12, rates);
            }
            assertThat(Tensors.toDoubles(flat.values())).containsExactly(expected, within(2e-6));
            assertThat(Tensors.toDoubles(parameters.tensors().get("fc.weight")))
                    .containsExactly(Arrays.copyOf(expected, 12), within(2e-6));
            assertThat(Tensors.toDoubles(flat.gradients())).containsOnly(0);
        }
    }

    private static double step(FlatParameters flat, AdamW optimizer, float[] gradient) {
        try (var _ = new NoGradGuard(); var _ = new PointerScope()) {
            flat.gradients().copy_(Tensors.of(gradient, gradient.length));
            return optimizer.step(LR);
        }
    }

    private static double norm(float[] gradient) {
        double sum = 0;
        for (float g : gradient) {
            sum += (double) g * g;
        }
        return Math.sqrt(sum);
    }

    @Test
    void whatIsFrozenStays() {
        try (Parameters parameters = parameters();
                var _ = new PointerScope();
                FlatParameters flat = new FlatParameters(parameters, Devices.cpu(),
                        name -> name.startsWith("fc") ? 0 : 1);
                AdamW optimizer = new AdamW(TinyTraining.recipe().optimizer(), flat)) {
            double[] before = Tensors.toDoubles(flat.values());
            float[] gradient = new float[before.length];
            Arrays.fill(gradient, 12, gradient.length, 1);
            step(flat, optimizer, gradient);
            double[] after = Tensors.toDoubles(flat.values());
            assertThat(Arrays.copyOf(after, 12)).containsExactly(Arrays.copyOf(before, 12));
            assertThat(after[12]).isNotEqualTo(before[12]);
            assertThat(parameters.tensors().get("fc.weight").requires_grad()).isFalse();
            assertThat(parameters.tensors().get("norm.weight").requires_grad()).isTrue();
        }
    }

    @Test
    void anInfiniteGradientChangesNothing() {
        try (Parameters parameters = parameters();
                var _ = new PointerScope();
                FlatParameters flat = new FlatParameters(parameters, Devices.cpu(), _ -> 1);
                AdamW optimizer = new AdamW(TinyTraining.recipe().optimizer(), flat)) {
            double[] before = Tensors.toDoubles(flat.values());
            float[] gradient = new float[before.length];
            gradient[3] = Float.NaN;
            assertThat(step(flat, optimizer, gradient)).isNaN();
            assertThat(Tensors.toDoubles(flat.values())).containsExactly(before);
            assertThat(optimizer.steps()).isZero();
        }
    }
}

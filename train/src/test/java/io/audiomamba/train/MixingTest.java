package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.torch.Tensors;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;

/** Clip b of 4 is all b, and its target is class b: what was mixed can be read off. */
class MixingTest {

    private static final int CLIPS = 4;
    private static final int FRAMES = 20;
    private static final int BINS = 5;

    private record Mixed(float[][] inputs, float[][] targets) {}

    private static Mixed mix(boolean waveforms, long seed, String... settings) {
        float[] inputs = new float[CLIPS * FRAMES * BINS];
        for (int i = 0; i < inputs.length; i++) {
            inputs[i] = i / (FRAMES * BINS);
        }
        float[] targets = new float[CLIPS * CLIPS];
        for (int b = 0; b < CLIPS; b++) {
            targets[b * CLIPS + b] = 1;
        }
        Mixing mixing = new Mixing(TinyTraining.recipe(settings).augment());
        try (var _ = new PointerScope()) {
            Mixing.Examples given = new Mixing.Examples(waveforms
                    ? Tensors.of(inputs, CLIPS, FRAMES * BINS)
                    : Tensors.of(inputs, CLIPS, FRAMES, BINS), Tensors.of(targets, CLIPS, CLIPS));
            SplittableRandom random = new SplittableRandom(seed);
            Mixing.Examples mixed = waveforms
                    ? mixing.ofWaveforms(given, random)
                    : mixing.ofImages(given, random);
            return new Mixed(rows(Tensors.toFloats(mixed.inputs())), rows(Tensors.toFloats(mixed.targets())));
        }
    }

    private static float[][] rows(float[] flat) {
        float[][] rows = new float[CLIPS][flat.length / CLIPS];
        for (int b = 0; b < CLIPS; b++) {
            System.arraycopy(flat, b * rows[b].length, rows[b], 0, rows[b].length);
        }
        return rows;
    }

    private static double mean(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += value;
        }
        return sum / values.length;
    }

    /** Targets sum to one, and the mean input is what the targets say was mixed. */
    private static void assertMixedAlike(Mixed mixed) {
        for (int b = 0; b < CLIPS; b++) {
            double sum = 0;
            double expected = 0;
            for (int c = 0; c < CLIPS; c++) {
                assertThat(mixed.targets[b][c]).isBetween(0f, 1f);
                sum += mixed.targets[b][c];
                expected += c * mixed.targets[b][c];
            }
            assertThat(sum).isCloseTo(1, within(1e-6));
            assertThat(mean(mixed.inputs[b])).isCloseTo(expected, within(1e-4));
        }
    }

    @Test
    void mixupMixesInputsAndTargetsAlike() {
        for (int seed = 0; seed < 20; seed++) {
            Mixed mixed = mix(false, seed);
            assertMixedAlike(mixed);
            assertThat(mixed.inputs[1]).containsOnly(mixed.inputs[1][0]);
            assertMixedAlike(mix(true, seed, "augment.mixup_kind=waveforms"));
        }
    }

    @Test
    void eachPairHasAProportionOfItsOwn() {
        Set<Float> own = new HashSet<>();
        float[][] targets = mix(false, 1).targets;
        for (int b = 0; b < CLIPS; b++) {
            own.add(targets[b][b]);
        }
        assertThat(own).hasSize(CLIPS);
    }

    @Test
    void waveformsAndSpectrogramsAreNotBothMixed() {
        assertThat(mix(true, 1).targets).isEqualTo(mix(true, 2).targets);
        assertThat(mix(false, 1, "augment.mixup_kind=waveforms").inputs[3]).containsOnly(3);
    }

    /** HTS-AT: x = lambda x + (1 - lambda) flip(x), and the labels stay. */
    @Test
    void theAuthorsMixWithTheReversedBatchAndKeepTheLabels() {
        Mixed mixed = mix(false, 1, "augment.mixup_kind=authors");
        for (int b = 0; b < CLIPS; b++) {
            int other = CLIPS - 1 - b;
            assertThat(mixed.inputs[b][0]).isBetween((float) Math.min(b, other), (float) Math.max(b, other));
            assertThat(mixed.inputs[b][0]).isNotEqualTo(b);
            for (int c = 0; c < CLIPS; c++) {
                assertThat(mixed.targets[b][c]).isEqualTo(b == c ? 1 : 0);
            }
        }
    }

    @Test
    void cutMixPutsInARectangle() {
        boolean cut = false;
        for (int seed = 0; seed < 20; seed++) {
            Mixed mixed = mix(false, seed, "augment.cutmix_alpha=1.0", "augment.cutmix_probability=1.0");
            assertMixedAlike(mixed);
            for (int b = 0; b < CLIPS; b++) {
                Set<Float> values = new HashSet<>();
                for (float value : mixed.inputs[b]) {
                    values.add(value);
                }
                assertThat(values).allMatch(value -> value == Math.rint(value)).hasSizeLessThanOrEqualTo(2);
                cut |= values.size() == 2;
            }
        }
        assertThat(cut).isTrue();
    }

    @Test
    void noneAndSometimes() {
        assertThat(mix(false, 1, "augment.mixup_alpha=0.0").inputs[2]).containsOnly(2);
        int mixed = 0;
        for (int seed = 0; seed < 200; seed++) {
            mixed += mix(false, seed, "augment.mixup_probability=0.3").targets[0][0] == 1 ? 0 : 1;
        }
        assertThat(mixed).isBetween(35, 85);
    }

    /** Beta(a, a) has mean 1/2 and variance 1/(8 a + 4). */
    @Test
    void betaHasItsMoments() {
        for (double alpha : new double[] {0.001, 0.5, 1, 2, 20, 1000}) {
            Random random = new Random(3);
            double[] draws = new double[20_000];
            java.util.Arrays.setAll(draws, _ -> Mixing.beta(alpha, random));
            double mean = java.util.Arrays.stream(draws).average().orElseThrow();
            double variance = java.util.Arrays.stream(draws).map(x -> (x - mean) * (x - mean)).average().orElseThrow();
            assertThat(mean).isCloseTo(0.5, within(0.01));
            double expected = 1 / (8 * alpha + 4);
            assertThat(variance).isCloseTo(expected, within(Math.min(0.003, 0.05 * expected)));
        }
    }
}

package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SoundAugmentationTest {

    private static final int WINDOW = 100;

    private static float[] apply(float[] samples, long seed, String... settings) {
        float[] window = new float[WINDOW];
        new SoundAugmentation(TinyTraining.recipe(settings).augment()).apply(samples, new Random(seed), window);
        return window;
    }

    private static float[] ramp(int length) {
        float[] ramp = new float[length];
        for (int i = 0; i < length; i++) {
            ramp[i] = i;
        }
        return ramp;
    }

    @Test
    void aShortSoundIsRepeated() {
        float[] out = apply(ramp(30), 1, "augment.roll=false");
        for (int i = 0; i < WINDOW; i++) {
            assertThat(out[i]).isEqualTo(i % 30);
        }
    }

    @Test
    void aRolledSoundGoesOnAfterItsEnd() {
        float[] out = apply(ramp(WINDOW), 1);
        assertThat(out).hasSize(WINDOW);
        for (int i = 1; i < WINDOW; i++) {
            float step = out[i] - out[i - 1];
            assertThat(step > 0 && step <= 1.01 || step < 0 && out[i] < 1.5).as("at " + i + ": " + step).isTrue();
        }
    }

    @Test
    void aLongSoundIsCutAtRandom() {
        float[] one = apply(ramp(1000), 1, "augment.roll=false");
        float[] other = apply(ramp(1000), 2, "augment.roll=false");
        assertThat(one[0]).isNotEqualTo(other[0]);
        for (float[] out : new float[][] {one, other}) {
            assertThat(out[WINDOW - 1]).isLessThan(1000);
            assertThat(out[WINDOW - 1] - out[0]).isCloseTo(99, org.assertj.core.api.Assertions.within(0.01f));
        }
    }

    @Test
    void gainStaysInItsBounds() {
        float[] ones = new float[WINDOW];
        Arrays.fill(ones, 1);
        double largest = Math.pow(10, 6 / 20.0);
        boolean quieter = false;
        boolean louder = false;
        for (int seed = 0; seed < 200; seed++) {
            float gain = apply(ones, seed, "augment.gain_db=6.0")[50];
            assertThat((double) gain).isBetween(1 / largest - 1e-6, largest + 1e-6);
            quieter |= gain < 0.7;
            louder |= gain > 1.4;
        }
        assertThat(quieter && louder).isTrue();
    }

    @Test
    void speedStaysInItsBounds() {
        for (int seed = 0; seed < 200; seed++) {
            float[] out = apply(ramp(1000), seed, "augment.roll=false", "augment.speed=0.15");
            float speed = (out[WINDOW - 1] - out[0]) / (WINDOW - 1);
            assertThat(speed).isBetween(0.849f, 1.151f);
        }
    }

    @Test
    void aPartIsRepeated() {
        boolean cut = false;
        for (int seed = 0; seed < 50; seed++) {
            float[] out = apply(ramp(80), seed, "augment.roll=false", "augment.crop=0.5");
            int length = 1;
            while (out[length] > out[length - 1]) {
                length++;
            }
            assertThat(length).isBetween(40, 80);
            assertThat(out[length]).isEqualTo(out[0]);
            cut |= length < 70;
        }
        assertThat(cut).isTrue();
    }

    @Test
    void aSilentPartIsNotUsed() {
        float[] click = new float[1000];
        click[500] = 1;
        for (int seed = 0; seed < 50; seed++) {
            float[] window = new float[1000];
            new SoundAugmentation(TinyTraining.recipe("augment.crop=0.1", "augment.roll=false").augment())
                    .apply(click, new Random(seed), window);
            assertThat(window).contains(1);
        }
    }

    @Test
    void silenceAndASingleSample() {
        assertThat(apply(new float[50], 1, "augment.speed=0.15", "augment.gain_db=6.0")).containsOnly(0);
        assertThat(apply(new float[] {0.5f}, 1)).containsOnly(0.5f);
    }
}

package io.audiomamba.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class SyntheticSoundsTest {

    private static final int RATE = 32_000;

    private final Dataset dataset = Dataset.read(Path.of("synthetic"));

    @Test
    void everyLabelIsGiven() {
        assertThat(dataset.labels()).doesNotHaveDuplicates();
        assertThat(dataset.emptyClasses()).isEmpty();
        assertThat(dataset.clips()).allMatch(clip -> clip.labels().size() >= 3);
    }

    @Test
    void aSoundIsTheSameEachTimeAndUnlikeOthers() {
        float[] first = dataset.sounds().read(dataset.clips().get(5), RATE);
        assertThat(dataset.sounds().read(dataset.clips().get(5), RATE)).isEqualTo(first);
        assertThat(dataset.sounds().read(dataset.clips().get(6), RATE)).isNotEqualTo(first);
    }

    @Test
    void soundsAreAudibleAndDoNotClip() {
        for (Clip clip : dataset.clips().subList(0, 200)) {
            float[] samples = dataset.sounds().read(clip, RATE);
            assertThat(samples.length).isBetween(2 * RATE, 5 * RATE);
            float peak = 0;
            for (float sample : samples) {
                peak = Math.max(peak, Math.abs(sample));
            }
            assertThat(peak).isBetween(0.03f, 1f);
        }
    }

    @Test
    void aLevelToneHasThePitchThatItsLabelNames() {
        Clip tone = dataset.clips().stream().filter(clip -> has(clip, "tone") && has(clip, "level")
                && has(clip, "steady") && has(clip, "pitch 2")).findFirst().orElseThrow();
        float[] samples = dataset.sounds().read(tone, RATE);
        int lag = 40;
        double best = 0;
        for (int candidate = 40; candidate < 200; candidate++) {
            double sum = 0;
            for (int i = 0; i < RATE; i++) {
                sum += samples[i] * samples[i + candidate];
            }
            if (sum > best) {
                best = sum;
                lag = candidate;
            }
        }
        assertThat((double) RATE / lag).isBetween(4 * 70.0 * 0.98, 8 * 70.0 * 1.02);
    }

    private boolean has(Clip clip, String label) {
        return clip.labels().contains(dataset.labels().indexOf(label));
    }
}

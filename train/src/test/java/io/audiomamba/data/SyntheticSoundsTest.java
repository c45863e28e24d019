package io.audiomamba.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
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
        float[] samples = sound("tone", "level", "steady", "pitch 2");
        assertThat(pitch(samples, 0)).isBetween(4 * 70.0 * 0.98, 8 * 70.0 * 1.02);
    }

    @Test
    void aRisingToneRisesAndAFallingOneFalls() {
        float[] rising = sound("tone", "rise", "steady", "pitch 2");
        assertThat(pitch(rising, rising.length / 2)).isGreaterThan(1.02 * pitch(rising, 0));
        float[] falling = sound("tone", "fall", "steady", "pitch 2");
        assertThat(pitch(falling, falling.length / 2)).isLessThan(0.98 * pitch(falling, 0));
    }

    private float[] sound(String... labels) {
        Clip clip = dataset.clips().stream().filter(any -> Arrays.stream(labels).allMatch(label -> has(any, label)))
                .findFirst().orElseThrow();
        return dataset.sounds().read(clip, RATE);
    }

    /** In hertz, of a fifth of a second from {@code from} on: the lag at which it is most like itself. */
    private static double pitch(float[] samples, int from) {
        int lag = 0;
        double best = 0;
        for (int candidate = 28; candidate < 220; candidate++) {
            double sum = 0;
            for (int i = from; i < from + RATE / 5; i++) {
                sum += samples[i] * samples[i + candidate];
            }
            if (sum > best) {
                best = sum;
                lag = candidate;
            }
        }
        return (double) RATE / lag;
    }

    private boolean has(Clip clip, String label) {
        return clip.labels().contains(dataset.labels().indexOf(label));
    }
}

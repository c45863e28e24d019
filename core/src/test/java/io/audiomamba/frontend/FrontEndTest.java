package io.audiomamba.frontend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FrontEndTest {

    private static float[] noise(FrontEnd frontEnd, double factor) {
        Random random = new Random(1);
        float[] sound = new float[frontEnd.sampleRate()];
        for (int i = 0; i < sound.length; i++) {
            sound[i] = (float) (factor * 0.1 * random.nextGaussian());
        }
        return sound;
    }

    @ParameterizedTest
    @ValueSource(strings = {LogMel.NAME, KaldiFbank.NAME, KaldiFbank.REPEATING})
    void anImageSaysHowLoudASoundIs(String name) {
        try (var _ = new PointerScope()) {
            FrontEnd frontEnd = FrontEnd.named(name, Devices.cpu());
            assertThat(frontEnd.name()).isEqualTo(name);
            float[] image = highestBin(frontEnd, noise(frontEnd, 1));
            float[] louder = highestBin(frontEnd, noise(frontEnd, Math.pow(10, 3 / 20.0)));
            for (int frame = 0; frame < 90; frame++) {
                assertThat((double) louder[frame] - image[frame]).isCloseTo(3 * frontEnd.perDecibel(), within(1e-3));
            }
        }
    }

    /** Low ones of Kaldi's hold nothing: their filters lie between two frequencies. */
    private static float[] highestBin(FrontEnd frontEnd, float[] sound) {
        return Tensors.toFloats(frontEnd.apply(Tensors.of(sound, 1, sound.length)).select(2, -1));
    }

    @Test
    void shortSoundsAreRepeatedOrPadded() {
        FrontEnd repeating = FrontEnd.named(KaldiFbank.REPEATING, Devices.cpu());
        float[] sound = noise(repeating, 1);
        assertThat(FrontEnd.named(KaldiFbank.NAME, Devices.cpu()).fit(sound)).isEqualTo(sound);
        float[] filled = repeating.fit(sound);
        assertThat(filled).hasSize(repeating.windowSamples());
        for (int i = 0; i < filled.length; i++) {
            assertThat(filled[i]).isEqualTo(sound[i % sound.length]);
        }
        assertThatThrownBy(() -> repeating.fit(new float[0])).isInstanceOf(IllegalArgumentException.class);
    }
}

package io.audiomamba.frontend;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PrecisionTest {

    /** A loud tone, and noise 80 dB below it that must come out of single precision nearly as it does of double. */
    @ParameterizedTest
    @ValueSource(strings = {LogMel.NAME, KaldiFbank.NAME})
    void singlePrecisionFollowsDouble(String name) {
        try (var _ = new PointerScope()) {
            FrontEnd exact = FrontEnd.named(name, Devices.cpu());
            FrontEnd single = FrontEnd.named(name, Devices.cpu(), ScalarType.Float);
            float[] sound = new float[exact.sampleRate()];
            Random random = new Random(1);
            for (int i = 0; i < sound.length; i++) {
                sound[i] = (float) (Math.sin(0.3 * i) + 1e-4 * random.nextGaussian());
            }
            float[] expected = Tensors.toFloats(exact.apply(Tensors.of(sound, 1, sound.length)));
            float[] got = Tensors.toFloats(single.apply(Tensors.of(sound, 1, sound.length)));
            assertThat(got).usingComparatorWithPrecision(0.05f).containsExactly(expected);
            assertThat(got).isNotEqualTo(expected);
        }
    }
}

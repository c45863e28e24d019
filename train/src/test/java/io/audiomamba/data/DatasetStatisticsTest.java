package io.audiomamba.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.audio.AudioReader;
import io.audiomamba.audio.Waveform;
import io.audiomamba.error.AudioException;
import io.audiomamba.frontend.KaldiFbank;
import io.audiomamba.frontend.LogMel;
import io.audiomamba.golden.Generator;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DatasetStatisticsTest {

    private static final int RATE = 32_000;

    @TempDir
    private Path folder;

    private DatasetStatistics statistics() {
        return DatasetStatistics.of(Dataset.read(folder), LogMel.NAME, (_, _) -> {});
    }

    private void wav(String name, int rate, float... samples) throws IOException {
        Tones.wav(folder.resolve(name), rate, samples);
    }

    private static float[] scaled(float[] samples, float factor) {
        float[] scaled = samples.clone();
        for (int i = 0; i < scaled.length; i++) {
            scaled[i] *= factor;
        }
        return scaled;
    }

    @Test
    void lengthsRatesAndLevels() throws IOException {
        wav("dog/sine.wav", 8000, Tones.tone(8000, 400, 0.5));
        wav("dog/square.wav", RATE, new float[] {1, 1, -1, -1, 1, 1, -1, -1});
        wav("rain/silence.wav", 16_000, new float[16_000]);
        Files.writeString(folder.resolve("rain/broken.wav"), "no sound");
        DatasetStatistics statistics = statistics();
        assertThat(statistics.clips()).extracting(ClipStatistics::seconds).containsExactly(0.5, 8.0 / RATE, 1.0);
        assertThat(statistics.clips()).extracting(ClipStatistics::rate).containsExactly(8000, RATE, 16_000);
        ClipStatistics sine = statistics.clips().getFirst();
        assertThat(sine.level()).isCloseTo(20 * Math.log10(0.5 / Math.sqrt(2)), within(0.01));
        assertThat(sine.peak()).isCloseTo(20 * Math.log10(0.5), within(0.01));
        assertThat(statistics.clips().get(1).level()).isCloseTo(0, within(0.001));
        assertThat(statistics.clips()).extracting(ClipStatistics::reachesFullScale).containsExactly(false, true, false);
        assertThat(statistics.clips()).extracting(ClipStatistics::isSilent).containsExactly(false, false, true);
        assertThat(statistics.failures()).containsOnlyKeys("rain/broken.wav");
        assertThat(statistics.counts(0)).containsExactly(2, 2);
    }

    /** Bytes of all samples of a long clip would be more than an array holds: they are hashed in parts. */
    @Test
    void theHashIsOfAllSamples() throws Exception {
        float[] samples = scaled(Generator.values("noise", 100_000), 0.3f);
        ByteBuffer bytes = ByteBuffer.allocate(2 * samples.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float sample : samples) {
            bytes.putShort((short) Math.round(32767 * sample));
        }
        assertThat(ClipStatistics.of(new Clip("noise", folder, List.of(0), 0), samples, RATE).hash())
                .isEqualTo(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes.array())));
    }

    @Test
    void duplicates() throws IOException {
        float[] sound = Generator.sound(RATE, 1, "one");
        float[] noise = scaled(Generator.values("noise", RATE), 0.3f);
        wav("a/original.wav", RATE, sound);
        wav("a/noise.wav", RATE, noise);
        wav("b/copy.wav", RATE, sound);
        wav("b/quieter-and-slower.wav", 22_050,
                scaled(AudioReader.resample(new Waveform(sound, RATE), 22_050).samples(), 0.25f));
        wav("b/other-noise.wav", RATE, scaled(Generator.values("other noise", RATE), 0.3f));
        wav("b/backwards.wav", RATE, backwards(sound));
        Duplicates duplicates = statistics().duplicates();
        assertThat(duplicates.exact()).hasSize(1);
        assertThat(duplicates.exact().getFirst()).extracting(Clip::name).containsExactly("a/original.wav",
                "b/copy.wav");
        assertThat(duplicates.near()).extracting(pair -> pair.first().name() + " " + pair.second().name())
                .containsExactlyInAnyOrder("a/original.wav b/quieter-and-slower.wav",
                        "b/copy.wav b/quieter-and-slower.wav");
    }

    private static float[] backwards(float[] samples) {
        float[] result = new float[samples.length];
        for (int i = 0; i < result.length; i++) {
            result[i] = samples[samples.length - 1 - i];
        }
        return result;
    }

    @Test
    void meanAndDeviationOfTheFrontEnd() throws IOException {
        float[] sound = Generator.sound(RATE, 1, "one");
        wav("a/x.wav", RATE, sound);
        FrontEndStatistics statistics = statistics().frontEnd();
        LogMel logMel = new LogMel(Devices.cpu());
        float[] values;
        try (var _ = new PointerScope()) {
            values = Tensors.toFloats(logMel.apply(Tensors.of(logMel.fit(sound), 1, logMel.windowSamples())));
        }
        double mean = mean(values);
        assertThat(statistics.mean()).isCloseTo(mean, within(0.01));
        double[] squares = new double[values.length];
        Arrays.setAll(squares, i -> (values[i] - mean) * (values[i] - mean));
        assertThat(statistics.deviation()).isCloseTo(Math.sqrt(Arrays.stream(squares).average().orElseThrow()),
                within(0.01));
        assertThat(statistics.binMeans()).hasSize(LogMel.BINS);
        assertThat(Arrays.stream(statistics.binMeans()).average().orElseThrow()).isCloseTo(mean, within(0.01));
        assertThat(Arrays.stream(statistics.binDeviations()).min().orElseThrow()).isPositive();
    }

    private static double mean(float[] values) {
        double sum = 0;
        for (float value : values) {
            sum += value;
        }
        return sum / values.length;
    }

    @Test
    void aPackedDatasetAndAnotherFrontEnd() {
        Dataset tones = Tones.dataset(List.of("low", "high"), 2, 1);
        PackedDataset.write(tones, folder, 16_000, (_, _) -> {});
        DatasetStatistics statistics = DatasetStatistics.of(Dataset.read(folder), KaldiFbank.NAME, (_, _) -> {});
        assertThat(statistics.clips()).extracting(ClipStatistics::rate).containsOnly(16_000);
        assertThat(statistics.counts(1)).containsExactly(1, 1);
        assertThat(statistics.frontEnd().binMeans()).hasSize(128);
        assertThat(statistics.frontEnd().mean()).isFinite();
    }

    @Test
    void nothingThatCanBeDecoded() throws IOException {
        Files.createDirectories(folder.resolve("a"));
        Files.writeString(folder.resolve("a/x.wav"), "no sound");
        assertThatThrownBy(this::statistics).isInstanceOf(AudioException.class)
                .hasMessageContaining("none of the 1 clips can be decoded, such as ");
    }
}

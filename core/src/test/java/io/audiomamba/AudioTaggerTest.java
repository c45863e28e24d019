package io.audiomamba;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.audio.AudioLimits;
import io.audiomamba.audio.Wav;
import io.audiomamba.audio.Waveform;
import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.golden.Generator;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Variants;
import io.audiomamba.torch.Natives;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class AudioTaggerTest {

    private static final List<String> LABELS = List.of("dog", "rain", "clock", "crow");
    private static final int RATE = 32_000;

    @TempDir
    private static Path folder;

    private static Path small;

    private AudioTagger tagger;

    @BeforeAll
    static void makeModel() {
        small = write("small.safetensors", InputKind.FOLDED_LOG_MEL, "htsat-logmel", HeadKind.TOKEN_SEMANTIC,
                Activation.SIGMOID, 1);
    }

    private static Path write(String name, InputKind input, String frontEnd, HeadKind head, Activation activation,
            double temperature) {
        Path path = folder.resolve(name);
        ModelConfig config = Variants.named("nano_s1").forAudio(input, LABELS.size(), head);
        try (Parameters parameters = new Parameters(Parameters.Source.random(4))) {
            new AudioMamba(config, parameters);
            Checkpoint.write(path, new Description(config, frontEnd, LABELS, activation, temperature, Map.of()),
                    parameters.tensors(), DType.F32);
        }
        return path;
    }

    @BeforeEach
    void load() {
        tagger = AudioTagger.load(small);
    }

    @AfterEach
    void close() {
        tagger.close();
        Natives.setThreads(2);
    }

    private static Waveform sound(double seconds) {
        return new Waveform(Generator.sound(RATE, seconds, "tagger"), RATE);
    }

    private static Path file(String name, byte[] content) throws Exception {
        return Files.write(folder.resolve(name), content);
    }

    @Test
    void everyClassHasAProbability() throws Exception {
        Tagging tagging = tagger.tag(file("sine.wav", Wav.sine(2, 44_100, 440, 3)));
        assertThat(tagging.seconds()).isCloseTo(3, within(1e-3));
        assertThat(tagging.tags()).extracting(Tag::label).containsExactlyInAnyOrderElementsOf(LABELS);
        assertThat(tagging.tags()).allMatch(tag -> tag.score() > 0 && tag.score() < 1);
        assertThat(tagging.tags()).isSortedAccordingTo((a, b) -> Double.compare(b.score(), a.score()));
        assertThat(tagging.top(2)).isEqualTo(tagging.tags().subList(0, 2));
        assertThat(tagging.above(tagging.tags().get(1).score())).hasSize(2);
        assertThat(tagging.score("rain")).isEqualTo(
                tagging.tags().stream().filter(tag -> tag.label().equals("rain")).findFirst().orElseThrow().score());
        assertThat(tagger.labels()).isEqualTo(LABELS);
    }

    @ParameterizedTest
    @EnumSource(Activation.class)
    void activations(Activation activation) {
        Path path = write(activation + ".safetensors", InputKind.FOLDED_LOG_MEL, "htsat-logmel", HeadKind.LINEAR,
                activation, 0.01);
        try (AudioTagger sharp = AudioTagger.load(path)) {
            double sum = sharp.tag(sound(1)).tags().stream().mapToDouble(Tag::score).sum();
            if (activation == Activation.SOFTMAX) {
                assertThat(sum).isCloseTo(1, within(1e-9));
            } else {
                assertThat(sum).isNotCloseTo(1, within(1e-3));
            }
        }
    }

    @Test
    void theOtherFrontEnd() {
        Path path = write("kaldi.safetensors", InputKind.FILTER_BANK, "kaldi-fbank", HeadKind.LINEAR,
                Activation.SIGMOID, 1);
        try (AudioTagger dass = AudioTagger.load(path)) {
            assertThat(dass.tag(sound(0.001)).tags()).hasSize(4);
            assertThat(dass.tag(sound(12)).seconds()).isCloseTo(12, within(1e-3));
        }
    }

    /** The score of a long sound is the mean of its windows', weighted by their length. */
    @Test
    void longSoundsAreReadInWindows() throws Exception {
        Waveform sound = sound(25);
        double[] windows = new double[3];
        for (int i = 0; i < 3; i++) {
            float[] part = Arrays.copyOfRange(sound.samples(), i * 10 * RATE, Math.min(25, (i + 1) * 10) * RATE);
            windows[i] = tagger.tag(new Waveform(part, RATE)).score("dog");
        }
        double mean = (10 * windows[0] + 10 * windows[1] + 5 * windows[2]) / 25;
        assertThat(tagger.tag(sound).score("dog")).isCloseTo(mean, within(1e-12));
        Path wav = file("long.wav", Wav.of(1, RATE, sound.samples()));
        assertThat(tagger.tag(wav).score("dog")).isCloseTo(mean, within(1e-12));
    }

    /** A short clip is repeated, so twice the clip in a row is heard alike. */
    @Test
    void shortSoundsAreRepeated() {
        float[] once = sound(2).samples();
        float[] twice = Arrays.copyOf(once, 2 * once.length);
        System.arraycopy(once, 0, twice, once.length, once.length);
        assertThat(tagger.tag(new Waveform(twice, RATE)).tags())
                .isEqualTo(tagger.tag(new Waveform(once, RATE)).tags());
    }

    @Test
    void oneSampleAndSilence() {
        assertThat(tagger.tag(new Waveform(new float[] {0.5f}, 8_000)).tags()).hasSize(4);
        assertThat(tagger.tag(new Waveform(new float[100], RATE)).tags()).allMatch(t -> Double.isFinite(t.score()));
    }

    @Test
    void whatIsNoSound() {
        assertThatThrownBy(() -> tagger.tag(new Waveform(new float[0], RATE))).isInstanceOf(AudioException.class);
        assertThatThrownBy(() -> tagger.tag(new Waveform(new float[] {0, Float.NaN}, RATE)))
                .isInstanceOf(AudioException.class).hasMessageContaining("NaN");
        assertThatThrownBy(() -> tagger.tag(Path.of("nowhere.wav"))).isInstanceOf(AudioException.class);
        assertThatThrownBy(() -> AudioTagger.load("no-such-model")).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("no-such-model");
    }

    @Test
    void eightThreadsGetWhatOneGets() throws Exception {
        Waveform sound = sound(3);
        Tagging alone = tagger.tag(sound);
        try (ExecutorService pool = Executors.newFixedThreadPool(8)) {
            List<Future<Tagging>> results = new ArrayList<>();
            for (int i = 0; i < 32; i++) {
                results.add(pool.submit(() -> tagger.tag(sound)));
            }
            for (Future<Tagging> result : results) {
                assertThat(result.get()).isEqualTo(alone);
            }
        }
    }

    @Test
    void threadsOfAnOperationDoNotMatter() {
        Waveform sound = sound(3);
        Natives.setThreads(1);
        Tagging one = tagger.tag(sound);
        Natives.setThreads(2);
        Tagging two = tagger.tag(sound);
        for (String label : LABELS) {
            assertThat(two.score(label)).isCloseTo(one.score(label), within(1e-6));
        }
    }

    @Test
    void devices() {
        Waveform sound = sound(1);
        try (AudioTagger onCpu = AudioTagger.load(small, new TaggerOptions("cpu"))) {
            assertThat(onCpu.tag(sound).tags()).extracting(Tag::label)
                    .containsExactlyElementsOf(tagger.tag(sound).tags().stream().map(Tag::label).toList());
        }
        assertThatThrownBy(() -> AudioTagger.load(small, new TaggerOptions("tpu")))
                .isInstanceOf(ConfigurationException.class).hasMessageContaining("tpu");
    }

    /** Of a file and of samples in memory. */
    @Test
    void limits() throws Exception {
        Path wav = file("limited.wav", Wav.sine(1, RATE, 440, 2));
        limited(new AudioLimits(1000, 60, 2, RATE), () -> tagger.tag(wav), "at most 1000 are allowed");
        for (Executable tagging : List.<Executable>of(() -> tagger.tag(wav), () -> tagger.tag(sound(2)))) {
            limited(new AudioLimits(1 << 20, 1, 2, RATE), tagging, "is longer than the limit of 1.00 s");
            limited(new AudioLimits(1 << 20, 60, 2, 8_000), tagging, "at most 8000 Hz are allowed");
        }
        assertThatThrownBy(() -> tagger.tag(new Waveform(new float[10], Integer.MAX_VALUE)))
                .isInstanceOf(AudioException.class).hasMessageContaining("2147483647 Hz");
    }

    @Test
    void optionsAreNotNull() {
        assertThatThrownBy(() -> new TaggerOptions(null)).isInstanceOf(NullPointerException.class)
                .hasMessage("device");
        assertThatThrownBy(() -> new TaggerOptions("cpu", null)).isInstanceOf(NullPointerException.class)
                .hasMessage("limits");
    }

    private void limited(AudioLimits limits, Executable tagging, String reason) {
        tagger.close();
        tagger = AudioTagger.load(small, new TaggerOptions("cpu", limits));
        assertThatThrownBy(tagging::execute).isInstanceOf(AudioException.class).hasMessageContaining(reason);
    }

    @Test
    void aClosedTaggerSaysSo() {
        tagger.close();
        tagger.close();
        assertThatThrownBy(() -> tagger.tag(sound(1))).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
    }

    /**
     * Memory of the process, not of the heap: tensors live outside it. In a process of its own, whose heap is as large as it may
     * become from the beginning on: other tests' heap grows and shrinks by hundreds of megabytes.
     */
    @Test
    @EnabledOnOs(OS.LINUX)
    void athousandTagsLeaveMemoryFlat() throws Exception {
        Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xms256m", "-Xmx256m", "-XX:+AlwaysPreTouch", "--enable-native-access=ALL-UNNAMED", "--add-modules",
                "jdk.incubator.vector", "-cp", System.getProperty("java.class.path"),
                TagsAThousandTimes.class.getName(),
                small.toString()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        String grown = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).isZero();
        assertThat(Long.parseLong(grown)).isLessThan(20_000);
    }

    /** Prints by how many kilobytes the process has grown after the first 200 times. */
    static final class TagsAThousandTimes {
        public static void main(String[] models) throws Exception {
            Waveform sound = sound(1);
            try (AudioTagger tagger = AudioTagger.load(Path.of(models[0]))) {
                for (int i = 0; i < 200; i++) {
                    tagger.tag(sound);
                }
                long before = residentKilobytes();
                for (int i = 0; i < 800; i++) {
                    tagger.tag(sound);
                }
                System.out.print(residentKilobytes() - before);
            }
        }
    }

    private static long residentKilobytes() throws Exception {
        System.gc();
        return Files.readAllLines(Path.of("/proc/self/status")).stream().filter(line -> line.startsWith("VmRSS:"))
                .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", ""))).findFirst().orElseThrow();
    }
}

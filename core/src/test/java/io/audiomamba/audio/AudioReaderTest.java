package io.audiomamba.audio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.error.AudioException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class AudioReaderTest {

    private static final int RATE = 32_000;

    @TempDir
    private Path folder;

    private static Path resource(String name) throws URISyntaxException {
        return Path.of(AudioReaderTest.class.getResource("/audio/" + name).toURI());
    }

    private Path file(String name, byte[] content) throws IOException {
        return Files.write(folder.resolve(name), content);
    }

    /** How strongly {@code hertz} sounds, as the amplitude of a sine. */
    private static double amplitude(Waveform sound, double hertz) {
        double re = 0;
        double im = 0;
        float[] x = sound.samples();
        for (int i = 0; i < x.length; i++) {
            double phase = 2 * Math.PI * hertz * i / sound.sampleRate();
            re += x[i] * Math.cos(phase);
            im += x[i] * Math.sin(phase);
        }
        return 2 * Math.hypot(re, im) / x.length;
    }

    /** JavaCPP has room for ten callbacks of a kind; many streams must do with them. */
    @Test
    void manyStreamsAreOpenAtOnce() throws Exception {
        List<AudioStream> streams = new ArrayList<>();
        for (int i = 0; i < 64; i++) {
            streams.add(AudioReader.open(resource("tone.ogg"), RATE, AudioLimits.DEFAULT));
        }
        float[] expected = AudioReader.read(resource("tone.ogg"), RATE).samples();
        for (AudioStream stream : streams) {
            float[] samples = new float[expected.length];
            assertThat(stream.read(samples)).isEqualTo(expected.length);
            assertThat(Arrays.equals(samples, expected)).isTrue();
            stream.close();
        }
    }

    /** In a process of its own: what is made when a sound is decoded for the first time must not be freed with the scope. */
    @Test
    void theFirstSoundMayBeReadInAScope() throws Exception {
        Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
                System.getProperty("java.class.path"), ReadsInAScope.class.getName(), resource("tone.ogg").toString())
                .redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
    }

    static final class ReadsInAScope {
        public static void main(String[] files) {
            Path file = Path.of(files[0]);
            try (var _ = new PointerScope()) {
                AudioReader.read(file, RATE);
            }
            AudioReader.read(file, RATE);
        }
    }

    /** One second of a sine of 440 Hz and amplitude 1/8, encoded by FFmpeg. */
    @ParameterizedTest
    @ValueSource(strings = {"tone.flac", "tone.mp3", "tone.ogg", "tone.opus", "tone.m4a", "tone.aac", "tone.webm",
            "tone.mkv", "tone.aiff", "film.mp4"})
    void everyFormat(String name) throws Exception {
        Waveform sound = AudioReader.read(resource(name), RATE);
        assertThat(sound.sampleRate()).isEqualTo(RATE);
        assertThat(sound.seconds()).isCloseTo(1, within(0.08));
        assertThat(amplitude(sound, 440)).isCloseTo(0.125, within(0.02));
        assertThat(amplitude(sound, 1000)).isLessThan(0.005);
    }

    @ParameterizedTest
    @CsvSource({"1,8000", "2,44100", "8,48000", "1,192000", "3,22050", "1,32000"})
    void anyChannelsAndRate(int channels, int rate) throws Exception {
        Waveform sound = AudioReader.read(file("x.wav", Wav.sine(channels, rate, 440, 1)), RATE);
        assertThat(sound.samples()).hasSize(RATE);
        assertThat(amplitude(sound, 440)).isCloseTo(0.5, within(0.005));
    }

    @Test
    void channelsAreAveraged() {
        short[] samples = new short[2 * 640];
        for (int i = 0; i < samples.length; i++) {
            samples[i] = (short) (i % 2 == 0 ? 16384 : -8192);
        }
        Waveform sound = AudioReader.read(Wav.of(2, RATE, samples), "two", RATE);
        assertThat(sound.samples()).hasSize(640).containsOnly(0.125f);
    }

    @Test
    void pathBytesAndStreamAgree() throws Exception {
        byte[] wav = Wav.sine(2, 44100, 440, 0.3);
        float[] fromPath = AudioReader.read(file("x.wav", wav), RATE).samples();
        assertThat(AudioReader.read(wav, "bytes", RATE).samples()).isEqualTo(fromPath);
        assertThat(AudioReader.read(new ByteArrayInputStream(wav), "stream", RATE).samples()).isEqualTo(fromPath);
    }

    /** The name says nothing; the content does. */
    @Test
    void anyName() throws Exception {
        assertThat(AudioReader.read(file("notes.txt", Wav.sine(1, RATE, 440, 0.1)), RATE).samples()).hasSize(3200);
    }

    @Test
    void shortSounds() throws Exception {
        assertThat(AudioReader.read(Wav.of(1, RATE, (short) 8192), "one", RATE).samples()).containsExactly(0.25f);
        assertThat(AudioReader.read(Wav.sine(1, 8000, 440, 0.01), "10 ms", RATE).samples()).hasSize(320);
        float[] resampled = AudioReader.read(Wav.of(1, 8000, (short) 8192), "one at 8 kHz", RATE).samples();
        assertThat(resampled).hasSize(4);
        assertThat(resampled[0]).isCloseTo(0.25f, within(0.05f));
        assertThat(AudioReader.read(Wav.of(1, RATE, new short[32]), "silence", RATE).samples()).containsOnly(0);
    }

    @Test
    void aStreamDeliversTheSameInBlocks() throws Exception {
        Path path = file("x.wav", Wav.sine(2, 44100, 440, 0.5));
        float[] whole = AudioReader.read(path, RATE).samples();
        float[] block = new float[777];
        int position = 0;
        try (AudioStream stream = AudioReader.open(path, RATE, AudioLimits.DEFAULT)) {
            for (int count = stream.read(block); count > 0; count = stream.read(block)) {
                assertThat(Arrays.copyOf(block, count))
                        .isEqualTo(Arrays.copyOfRange(whole, position, position + count));
                position += count;
            }
        }
        assertThat(position).isEqualTo(whole.length);
    }

    @Test
    void whatIsNotSound() throws Exception {
        refused(folder.resolve("absent.wav"), "there is no such file");
        refused(folder, "is a directory");
        refused(file("empty.wav", new byte[0]), "is empty");
        if (Files.exists(Path.of("/dev/null"))) {
            refused(Path.of("/dev/null"), "is a pipe or a device, not a file");
        }
        refused(file("text.wav", "RIFF? No, just a letter.\n".repeat(40).getBytes(StandardCharsets.UTF_8)),
                "is not a sound file");
        refused(resource("silent-film.mp4"), "holds no sound");
        assertThatThrownBy(() -> AudioReader.read(Path.of("http://localhost/clip.mp3"), RATE))
                .isInstanceOf(AudioException.class).hasMessageStartingWith("http://localhost/clip.mp3: is a URL");
        refused(file("noise.mp3", randomBytes(5000)), "");
    }

    /** Playlists and scripts could make FFmpeg open other files. */
    @Test
    void whatRefersToOtherFiles() throws Exception {
        Path secret = file("secret.wav", Wav.sine(1, RATE, 440, 0.1));
        refused(file("list.m3u8", ("#EXTM3U\n#EXTINF:1,\n" + secret + "\n").getBytes(StandardCharsets.UTF_8)),
                "is not a sound file");
        refused(file("list.ffconcat", ("ffconcat version 1.0\nfile " + secret + "\n").getBytes(
                StandardCharsets.UTF_8)), "is not a sound file");
        refused(file("list.pls", ("[playlist]\nFile1=" + secret + "\n").getBytes(StandardCharsets.UTF_8)),
                "is not a sound file");
    }

    @Test
    void damagedSound() throws Exception {
        byte[] flac = Files.readAllBytes(resource("tone.flac"));
        refused(file("cut.flac", Arrays.copyOf(flac, flac.length / 2)), "");
        byte[] wav = Wav.sine(1, RATE, 440, 1);
        refused(file("header.wav", Arrays.copyOf(wav, 44)), "");
        refused(file("nan.wav", Wav.of(1, RATE, 0f, 0.5f, Float.NaN, 0f)), "not a finite number");
        refused(file("infinite.wav", Wav.of(1, RATE, 0f, Float.POSITIVE_INFINITY)), "not a finite number");
    }

    /** Recorders that are switched off leave such files: FFmpeg takes the length from what is there. */
    @Test
    void aWavWithoutItsEndIsReadAsFarAsItGoes() throws Exception {
        byte[] wav = Wav.sine(1, RATE, 440, 1);
        for (int samples : new int[] {8000, 8192}) {
            for (int partOfSample : new int[] {0, 1}) {
                Path cut = file("cut.wav", Arrays.copyOf(wav, 44 + 2 * samples + partOfSample));
                assertThat(AudioReader.read(cut, RATE).samples()).hasSize(samples);
            }
        }
    }

    @Test
    void limits() throws Exception {
        Path path = file("x.wav", Wav.sine(2, 44100, 440, 1));
        limited(path, new AudioLimits(100, 60, 8, 96_000), "at most 100 are allowed");
        limited(path, new AudioLimits(1 << 20, 0.5, 8, 96_000), "longer than the limit of 0.50 s");
        limited(path, new AudioLimits(1 << 20, 60, 1, 96_000), "has 2 channels");
        limited(path, new AudioLimits(1 << 20, 60, 8, 8_000), "44100 Hz");
    }

    /** A second for every two bytes: a small file would take as long as a day of sound. */
    @Test
    void aRateThatNoSoundHas() throws Exception {
        for (int rate : List.of(1, 999)) {
            refused(file("slow.wav", Wav.of(1, rate, new short[100])),
                    "has a sample rate of " + rate + " Hz; at least 1000 Hz are required.");
        }
        assertThat(AudioReader.read(file("least.wav", Wav.of(1, 1000, new short[100])), 1000).samples()).hasSize(100);
    }

    @ParameterizedTest
    @CsvSource({"0,60,8,96000,maxBytes is 0", "-1,60,8,96000,maxBytes is -1", "100,NaN,8,96000,maxSeconds is NaN",
            "100,0,8,96000,maxSeconds is 0.0", "100,-1,8,96000,maxSeconds is -1.0", "100,60,0,96000,maxChannels is 0",
            "100,60,-1,96000,maxChannels is -1", "100,60,8,0,maxSampleRate is 0", "100,60,8,-1,maxSampleRate is -1"})
    void limitsArePositive(long bytes, double seconds, int channels, int rate, String problem) {
        assertThatThrownBy(() -> new AudioLimits(bytes, seconds, channels, rate))
                .isInstanceOf(IllegalArgumentException.class).hasMessage(problem + ", not positive");
    }

    /** Bytes changed at random are decoded or refused, in a sentence; the JVM survives. */
    @ParameterizedTest
    @ValueSource(strings = {"tone.flac", "tone.mp3", "tone.ogg", "tone.opus", "tone.m4a", "tone.mkv", "film.mp4"})
    void randomDamage(String name) throws Exception {
        byte[] good = Files.readAllBytes(resource(name));
        Random random = new Random(name.hashCode());
        for (int i = 0; i < 60; i++) {
            byte[] bad = good.clone();
            for (int change = 0; change < 1 + i % 5; change++) {
                bad[random.nextInt(i % 2 == 0 ? Math.min(300, bad.length) : bad.length)] = (byte) random.nextInt();
            }
            try {
                AudioReader.read(bad, "damaged", RATE);
            } catch (AudioException e) {
                assertThat(e.getMessage()).startsWith("damaged: ").endsWith(".");
            }
        }
    }

    @Test
    void resampling() {
        float[] samples = new float[16_000];
        for (int i = 0; i < samples.length; i++) {
            samples[i] = (float) Math.sin(2 * Math.PI * 440 * i / 16_000);
        }
        Waveform sound = AudioReader.resample(new Waveform(samples, 16_000), RATE);
        assertThat(sound.samples()).hasSize(RATE);
        assertThat(amplitude(sound, 440)).isCloseTo(1, within(0.01));
        assertThatThrownBy(() -> AudioReader.resample(new Waveform(samples, Integer.MAX_VALUE), RATE))
                .isInstanceOf(AudioException.class).hasMessageContaining("cannot be resampled");
        assertThatThrownBy(() -> AudioReader.resample(new Waveform(new float[100_000], 1), RATE))
                .isInstanceOf(AudioException.class).hasMessageContaining("too long to be held in memory");
    }

    /** The decoder gives one plane of samples where it gave two before: whoever reads two then reads nowhere. */
    @Test
    void aChangeOfChannels() throws Exception {
        assertThat(AudioReader.read(silentMp3(50, 0), "mono", RATE).samples()).containsOnly(0);
        refused(file("joined.mp3", silentMp3(50, 50)), "changes its channels");
        refused(file("joined.mp3", silentMp3(0, 50, 50)), "changes its channels");
    }

    /**
     * MP3 of 44.1 kHz without a sound in it: frames of zeros behind their headers.
     *
     * @param frames how many of mono, stereo, mono and so on
     */
    private static byte[] silentMp3(int... frames) {
        int length = 144 * 128_000 / 44_100;
        ByteBuffer mp3 = ByteBuffer.allocate(Arrays.stream(frames).sum() * length);
        for (int run = 0; run < frames.length; run++) {
            for (int i = 0; i < frames[run]; i++) {
                mp3.putInt(run % 2 == 0 ? 0xfffb90c0 : 0xfffb9000).position(mp3.position() + length - Integer.BYTES);
            }
        }
        return mp3.array();
    }

    private static byte[] randomBytes(int count) {
        byte[] bytes = new byte[count];
        new Random(3).nextBytes(bytes);
        return bytes;
    }

    private static void refused(Path path, String reason) {
        assertThatThrownBy(() -> AudioReader.read(path, RATE)).isInstanceOf(AudioException.class)
                .hasMessageStartingWith(path.toString()).hasMessageContaining(reason)
                .hasMessageMatching("(?s)[^\n]*\\.");
    }

    private static void limited(Path path, AudioLimits limits, String reason) {
        assertThatThrownBy(() -> {
            try (AudioStream stream = AudioReader.open(path, RATE, limits)) {
                while (stream.read(new float[1000]) > 0) {
                    continue;
                }
            }
        }).isInstanceOf(AudioException.class).hasMessageContaining(reason);
    }
}

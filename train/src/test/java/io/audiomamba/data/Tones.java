package io.audiomamba.data;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.sound.sampled.AudioFileFormat;
import javax.sound.sampled.AudioFormat;
import javax.sound.sampled.AudioInputStream;
import javax.sound.sampled.AudioSystem;

/** Made-up sounds for tests: each class is a pitch. */
public final class Tones implements Dataset.Sounds {

    /** Clips of this name cannot be decoded. */
    public static final String BROKEN = "broken";

    private static final double SECONDS = 0.2;

    private Tones() {}

    /** Samples of a tone at half the full scale. */
    public static float[] tone(int rate, double hertz, double seconds) {
        float[] samples = new float[(int) Math.round(rate * seconds)];
        for (int i = 0; i < samples.length; i++) {
            samples[i] = (float) (0.5 * Math.sin(2 * Math.PI * hertz * i / rate));
        }
        return samples;
    }

    /** A WAV file, with the folders that it needs. */
    public static Path wav(Path file, int rate, float... samples) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(2 * samples.length).order(ByteOrder.LITTLE_ENDIAN);
        for (float sample : samples) {
            bytes.putShort((short) Math.round(32767 * sample));
        }
        Files.createDirectories(file.getParent());
        AudioSystem.write(
                new AudioInputStream(new ByteArrayInputStream(bytes.array()),
                        new AudioFormat(rate, 16, 1, true, false), samples.length),
                AudioFileFormat.Type.WAVE, file.toFile());
        return file;
    }

    /** A WAV file of a short tone. */
    public static Path wav(Path file) throws IOException {
        return wav(file, 8000, tone(8000, 440, SECONDS));
    }

    /** {@code folds} folds with {@code each} clips of each class, in memory. */
    public static Dataset dataset(List<String> labels, int folds, int each) {
        List<Clip> clips = new ArrayList<>();
        for (int fold = 1; fold <= folds; fold++) {
            for (int label = 0; label < labels.size(); label++) {
                for (int i = 0; i < each; i++) {
                    String name = "%s-%d-%d".formatted(labels.get(label), fold, i);
                    clips.add(new Clip(name, Path.of(name), List.of(label), fold));
                }
            }
        }
        return new Dataset("tones", labels, clips, List.of(), new Tones());
    }

    @Override
    public float[] read(Clip clip, int sampleRate) {
        if (clip.name().startsWith(BROKEN)) {
            throw new io.audiomamba.error.AudioException(clip.name() + ": is damaged after 0.10 s.");
        }
        return tone(sampleRate, 300 * (clip.labels().getFirst() + 1) + clip.name().hashCode() % 50, SECONDS);
    }

    @Override
    public int storedRate(Clip clip) {
        return 8000;
    }
}

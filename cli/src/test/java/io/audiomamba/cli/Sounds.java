package io.audiomamba.cli;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import javax.sound.sampled.AudioFileFormat;
import javax.sound.sampled.AudioFormat;
import javax.sound.sampled.AudioInputStream;
import javax.sound.sampled.AudioSystem;

/** Sound files for tests. */
final class Sounds {

    private Sounds() {}

    /** A WAV file of stereo noise at 8 kHz. */
    static Path noise(Path file, double seconds) throws IOException {
        int frames = (int) (8000 * seconds);
        byte[] samples = new byte[4 * frames];
        new java.util.Random(1).nextBytes(samples);
        AudioFormat format = new AudioFormat(8000, 16, 2, true, false);
        AudioSystem.write(new AudioInputStream(new ByteArrayInputStream(samples), format, frames),
                AudioFileFormat.Type.WAVE, file.toFile());
        return file;
    }
}

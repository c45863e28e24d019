package io.audiomamba.audio;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Makes WAV files for tests. */
public final class Wav {

    private Wav() {}

    /** A file of 16-bit samples, interleaved. */
    public static byte[] of(int channels, int rate, short... samples) {
        ByteBuffer data = ByteBuffer.allocate(2 * samples.length).order(ByteOrder.LITTLE_ENDIAN);
        data.asShortBuffer().put(samples);
        return file(1, channels, rate, 2, data.array());
    }

    /** A file of 32-bit floating-point samples, interleaved. */
    public static byte[] of(int channels, int rate, float... samples) {
        ByteBuffer data = ByteBuffer.allocate(4 * samples.length).order(ByteOrder.LITTLE_ENDIAN);
        data.asFloatBuffer().put(samples);
        return file(3, channels, rate, 4, data.array());
    }

    /** {@code seconds} of a sine of {@code hertz} at half the full scale in each channel. */
    public static byte[] sine(int channels, int rate, double hertz, double seconds) {
        short[] samples = new short[channels * (int) Math.round(rate * seconds)];
        for (int i = 0; i < samples.length; i++) {
            samples[i] = (short) (16384 * Math.sin(2 * Math.PI * hertz * (i / channels) / rate));
        }
        return of(channels, rate, samples);
    }

    private static byte[] file(int format, int channels, int rate, int width, byte[] data) {
        return ByteBuffer.allocate(44 + data.length).order(ByteOrder.LITTLE_ENDIAN).put("RIFF".getBytes())
                .putInt(36 + data.length).put("WAVEfmt ".getBytes()).putInt(16).putShort((short) format)
                .putShort((short) channels).putInt(rate).putInt(rate * channels * width)
                .putShort((short) (channels * width)).putShort((short) (8 * width)).put("data".getBytes())
                .putInt(data.length).put(data).array();
    }
}

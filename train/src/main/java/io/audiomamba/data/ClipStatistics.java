package io.audiomamba.data;

import io.audiomamba.file.Sha256;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What one clip sounds like, in figures.
 *
 * @param clip    the clip
 * @param seconds its length
 * @param rate    samples a second in which it is stored
 * @param level   root mean square in dB relative to full scale, of a square wave: 0 at most; negative infinity for
 *                digital silence
 * @param peak    the largest amplitude in the same unit
 * @param hash    of the decoded samples, rounded to 16 bits: SHA-256 in hexadecimal
 */
public record ClipStatistics(Clip clip, double seconds, int rate, double level, double peak, String hash) {

    /** Bytes that are hashed at once: those of all samples may be more than an array holds. */
    private static final int BLOCK = 1 << 16;

    static ClipStatistics of(Clip clip, float[] samples, int rate) {
        Sha256 hash = new Sha256();
        ByteBuffer rounded = ByteBuffer.allocate(BLOCK).order(ByteOrder.LITTLE_ENDIAN);
        double squares = 0;
        float largest = 0;
        for (float sample : samples) {
            squares += (double) sample * sample;
            largest = Math.max(largest, Math.abs(sample));
            rounded.putShort((short) Math.clamp(Math.round(32767 * sample), Short.MIN_VALUE, Short.MAX_VALUE));
            if (!rounded.hasRemaining()) {
                hash.add(rounded.flip());
                rounded.clear();
            }
        }
        hash.add(rounded.flip());
        return new ClipStatistics(clip, (double) samples.length / rate, rate,
                10 * Math.log10(squares / samples.length), 20 * Math.log10(largest),
                hash.digits());
    }

    /** Whether no sample differs from zero. */
    public boolean isSilent() {
        return Double.isInfinite(peak);
    }

    /** Whether the loudest sample is at full scale, as where a recording was clipped. */
    public boolean reachesFullScale() {
        return peak >= -0.001;
    }
}

package io.audiomamba.audio;

import io.audiomamba.error.AudioException;
import java.util.Locale;

/**
 * What a sound may cost before it is refused: audio files are hostile until decoded.
 *
 * @param maxBytes      size of the file, positive
 * @param maxSeconds    length of the sound, positive; infinite for any length
 * @param maxChannels   number of channels, positive
 * @param maxSampleRate samples a second of the file, positive
 */
public record AudioLimits(long maxBytes, double maxSeconds, int maxChannels, int maxSampleRate) {

    /** Room for a day of sound in 16 GB, 64 channels and 768 kHz. */
    public static final AudioLimits DEFAULT = new AudioLimits(16L << 30, 24 * 3600, 64, 768_000);

    /** Less is no sound, but would make hours of a small file. */
    private static final int LEAST_SAMPLE_RATE = 1000;

    /**
     * @throws IllegalArgumentException naming the limit that is not positive, or not a number
     */
    public AudioLimits {
        requirePositive("maxBytes", maxBytes);
        requirePositive("maxSeconds", maxSeconds);
        requirePositive("maxChannels", maxChannels);
        requirePositive("maxSampleRate", maxSampleRate);
    }

    private static void requirePositive(String name, Number limit) {
        if (!(limit.doubleValue() > 0)) {
            throw new IllegalArgumentException(name + " is " + limit + ", not positive");
        }
    }

    /**
     * Refuses a sound in memory that is too long, or has too many samples a second or fewer than 1000; its bytes are there already.
     *
     * @param name what to call it in the error
     * @throws AudioException that says which limit is exceeded
     */
    public void require(String name, Waveform sound) {
        requireForm(name, 1, sound.sampleRate());
        requireLength(name, sound.seconds());
    }

    void requireForm(String name, int channels, int sampleRate) {
        if (channels < 1 || channels > maxChannels) {
            throw new AudioException(name + ": has " + channels + " channels; 1 to " + maxChannels + " are allowed.");
        }
        if (sampleRate < LEAST_SAMPLE_RATE) {
            throw new AudioException(name + ": has a sample rate of " + sampleRate + " Hz; at least "
                    + LEAST_SAMPLE_RATE + " Hz are required.");
        }
        if (sampleRate > maxSampleRate) {
            throw new AudioException(name + ": has a sample rate of " + sampleRate + " Hz; at most " + maxSampleRate
                    + " Hz are allowed.");
        }
    }

    void requireLength(String name, double seconds) {
        if (seconds > maxSeconds) {
            throw new AudioException(
                    String.format(Locale.ROOT, "%s: is longer than the limit of %.2f s.", name, maxSeconds));
        }
    }
}

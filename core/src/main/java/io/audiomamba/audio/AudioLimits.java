package io.audiomamba.audio;

/**
 * What a sound may cost before it is refused: audio files are hostile until decoded.
 *
 * @param maxBytes      size of the file
 * @param maxSeconds    length of the sound
 * @param maxChannels   number of channels
 * @param maxSampleRate samples a second of the file
 */
public record AudioLimits(long maxBytes, double maxSeconds, int maxChannels, int maxSampleRate) {

    /** Room for a day of sound in 16 GB, 64 channels and 768 kHz. */
    public static final AudioLimits DEFAULT = new AudioLimits(16L << 30, 24 * 3600, 64, 768_000);
}

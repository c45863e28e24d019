package io.audiomamba.audio;

/**
 * Mono sound in memory.
 *
 * @param samples    amplitudes, nominally in [-1, 1]; the array is not copied and must not be changed
 * @param sampleRate samples a second, positive
 */
public record Waveform(float[] samples, int sampleRate) {

    public Waveform {
        if (sampleRate <= 0) {
            throw new IllegalArgumentException("sample rate " + sampleRate + " is not positive");
        }
    }

    /** Length in seconds. */
    public double seconds() {
        return (double) samples.length / sampleRate;
    }
}

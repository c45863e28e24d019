package io.audiomamba.train;

import io.audiomamba.frontend.FrontEnd;
import java.util.Arrays;
import java.util.random.RandomGenerator;

/** Changes a clip's waveform at random, and fills the model's window with it. Several threads may use one. */
final class SoundAugmentation {

    /** A part of a sound whose peak is below this share of the whole's is silence. */
    private static final float SILENCE = 0.02f;

    private final Recipe.Augment recipe;

    SoundAugmentation(Recipe.Augment recipe) {
        this.recipe = recipe;
    }

    /** Fills {@code window} with {@code samples}, changed: with a random part of a longer sound, repetitions of a shorter. */
    void apply(float[] samples, RandomGenerator random, float[] window) {
        float[] part = part(samples, random);
        double speed = 1 + recipe.speed() * (2 * random.nextDouble() - 1);
        float gain = (float) Math.pow(10, recipe.gainDb() * (2 * random.nextDouble() - 1) / 20);
        int length = Math.max(1, (int) (part.length / speed));
        double start = recipe.roll() ? random.nextDouble() * length : 0;
        if (!recipe.roll() && length > window.length) {
            start = random.nextDouble() * (length - window.length);
        }
        int period = Math.min(length, window.length);
        int beforeEnd = Math.min(period, (int) Math.ceil(length - start));
        play(part, start * speed, speed, gain, window, 0, beforeEnd);
        play(part, (start + beforeEnd - length) * speed, speed, gain, window, beforeEnd, period);
        FrontEnd.repeat(window, period);
    }

    /** A random part that is not silent. */
    private float[] part(float[] samples, RandomGenerator random) {
        if (recipe.crop() == 1) {
            return samples;
        }
        double share = recipe.crop() + (1 - recipe.crop()) * random.nextDouble();
        int length = Math.max(1, (int) (share * samples.length));
        int from = random.nextInt(samples.length - length + 1);
        if (peak(samples, from, from + length) < SILENCE * peak(samples, 0, samples.length)) {
            return samples;
        }
        return Arrays.copyOfRange(samples, from, from + length);
    }

    private static float peak(float[] samples, int from, int to) {
        float peak = 0;
        for (int i = from; i < to; i++) {
            peak = Math.max(peak, Math.abs(samples[i]));
        }
        return peak;
    }

    /** Linear interpolation, from {@code position} on; positions are counted in 2^-32 of a sample. */
    private static void play(float[] samples, double position, double speed, float gain, float[] out, int from,
            int to) {
        long at = (long) (Math.max(0, position) * 0x1p32);
        long step = (long) (speed * 0x1p32);
        int last = samples.length - 1;
        for (int i = from; i < to; i++) {
            int left = Math.min((int) (at >>> 32), last);
            float value = samples[left];
            out[i] = gain * (value + (at & 0xffffffffL) * 0x1p-32f * (samples[Math.min(left + 1, last)] - value));
            at += step;
        }
    }
}

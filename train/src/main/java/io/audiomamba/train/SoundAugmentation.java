package io.audiomamba.train;

import java.util.random.RandomGenerator;

/** Changes a clip's waveform at random, and fills the model's window with it. */
final class SoundAugmentation {

    private final Recipe.Augment recipe;
    private final int window;

    /** @param window samples that the model hears */
    SoundAugmentation(Recipe.Augment recipe, int window) {
        this.recipe = recipe;
        this.window = window;
    }

    /** {@code samples}, changed, in a window: a random part of a longer sound, repetitions of a shorter one. */
    float[] apply(float[] samples, RandomGenerator random) {
        double speed = 1 + recipe.speed() * (2 * random.nextDouble() - 1);
        float gain = (float) Math.pow(10, recipe.gainDb() * (2 * random.nextDouble() - 1) / 20);
        int length = Math.max(1, (int) (samples.length / speed));
        double start = recipe.roll() ? random.nextDouble() * length : 0;
        if (!recipe.roll() && length > window) {
            start = random.nextDouble() * (length - window);
        }
        float[] out = new float[window];
        double position = start;
        int period = Math.min(length, window);
        for (int i = 0; i < period; i++, position++) {
            if (position >= length) {
                position -= length;
            }
            out[i] = gain * at(samples, position * speed);
        }
        for (int filled = period; filled < window; filled *= 2) {
            System.arraycopy(out, 0, out, filled, Math.min(filled, window - filled));
        }
        return out;
    }

    /** Linear interpolation. */
    private static float at(float[] samples, double position) {
        int left = Math.min((int) position, samples.length - 1);
        int right = Math.min(left + 1, samples.length - 1);
        float fraction = (float) (position - left);
        return samples[left] + fraction * (samples[right] - samples[left]);
    }
}

package io.audiomamba.golden;

import java.nio.charset.StandardCharsets;

/**
 * Reproducible numbers: every value follows from a text key and its index, so that a weight or an input need not be
 * stored to be compared across languages. The rules are those of the golden vectors; changing any of them makes
 * those worthless.
 */
public final class Generator {

    private Generator() {}

    /** The 64-bit FNV-1a hash of the text's UTF-8 bytes. */
    static long hash(String text) {
        long h = 0xcbf29ce484222325L;
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            h ^= b & 0xff;
            h *= 0x100000001b3L;
        }
        return h;
    }

    /** A number in [0, 1) with 24 random bits: the SplitMix64 output function of the hashed key plus the index. */
    static double uniform(long hashedKey, long index) {
        long z = hashedKey + index + 0x9E3779B97F4A7C15L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        z ^= z >>> 31;
        return (z >>> 40) * 0x1.0p-24;
    }

    /** {@code size} numbers in [-1, 1). */
    public static float[] values(String key, long size) {
        long hashed = hash(key);
        float[] values = new float[Math.toIntExact(size)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) (2 * uniform(hashed, i) - 1);
        }
        return values;
    }

    /**
     * A plausible value for every element of the parameter called {@code name}: small where a trained model's are, so
     * that deep models neither explode nor fade.
     *
     * @param name  the official name of the tensor
     * @param shape its shape
     * @param salt  put before the name, to get other models of the same shape
     */
    public static float[] weights(String name, long[] shape, String salt) {
        long size = 1;
        for (long length : shape) {
            size *= length;
        }
        long hashed = hash(salt + name);
        Rule rule = rule(name.substring(name.lastIndexOf('.') + 1), shape);
        float[] weights = new float[Math.toIntExact(size)];
        for (int i = 0; i < weights.length; i++) {
            weights[i] = (float) rule.value(uniform(hashed, i), i);
        }
        return weights;
    }

    @FunctionalInterface
    private interface Rule {
        /** @param u in [0, 1) */
        double value(double u, long index);
    }

    private static Rule rule(String last, long[] shape) {
        return switch (last) {
            case "num_batches_tracked" -> (u, i) -> 0;
            case "running_mean" -> (u, i) -> 0.1 * (2 * u - 1);
            case "running_var" -> (u, i) -> 0.5 + u;
            case "A_logs" -> (u, i) -> Math.log(1.0 + i % shape[shape.length - 1]) + 0.1 * (2 * u - 1);
            case "Ds" -> (u, i) -> 1 + 0.1 * (2 * u - 1);
            case "dt_projs_bias" -> (u, i) -> -4.6 + 2.3 * u;
            case "bias" -> (u, i) -> 0.05 * (2 * u - 1);
            case "weight" -> shape.length == 1 ? (u, i) -> 1 + 0.1 * (2 * u - 1) : fanIn(shape, 1);
            case "x_proj_weight", "dt_projs_weight" -> fanIn(shape, 2);
            default -> fanIn(shape, 1);
        };
    }

    /** Uniform with variance 1 / fan-in, the fan-in being the product of the dimensions from {@code first} on. */
    private static Rule fanIn(long[] shape, int first) {
        double product = 1;
        for (int d = first; d < shape.length; d++) {
            product *= shape[d];
        }
        double bound = Math.sqrt(3.0 / product);
        return (u, i) -> (2 * u - 1) * bound;
    }

    /**
     * A test sound: a rising and a falling chirp, a 440 Hz tone that swells twice a second, and noise.
     *
     * @param sampleRate samples a second
     * @param seconds    length
     * @param key        of the noise
     */
    public static float[] sound(int sampleRate, double seconds, String key) {
        long hashed = hash(key);
        float[] samples = new float[(int) Math.round(sampleRate * seconds)];
        double turn = 2 * Math.PI;
        double top = 0.375 * sampleRate;
        for (int n = 0; n < samples.length; n++) {
            double t = (double) n / sampleRate;
            double rising = 0.30 * Math.sin(turn * (100.0 * t + 0.5 * (top - 100.0) / 10.0 * t * t));
            double falling = 0.20
                    * Math.sin(turn * (0.25 * sampleRate * t - 0.5 * (0.25 * sampleRate - 500.0) / 10.0 * t * t));
            double tone = 0.10 * Math.sin(turn * 440.0 * t) * (0.5 + 0.5 * Math.sin(turn * 2.0 * t));
            samples[n] = (float) (rising + falling + tone + 0.05 * (2 * uniform(hashed, n) - 1));
        }
        return samples;
    }
}

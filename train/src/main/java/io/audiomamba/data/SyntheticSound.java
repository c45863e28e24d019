package io.audiomamba.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * One made-up sound: noise, a tone or clicks, through a filter, under an envelope, the way that wind, motors, voices,
 * bells and steps are made. Everything is drawn from a seed, and so are the names of what was drawn.
 */
final class SyntheticSound {

    /** What a sound is made of. */
    private enum Source {
        NOISE, TONE, CLICKS
    }

    /** How the pitch of a tone moves. */
    private enum Contour {
        LEVEL, RISE, FALL, VIBRATO, WANDER
    }

    /** How loud it is over time. */
    private enum Envelope {
        STEADY, SWELL, TREMOLO, STRIKES, GATES
    }

    private static final int OCTAVES = 6;
    private static final double LOWEST_PITCH = 70;
    private static final double LOWEST_BAND = 120;
    private static final double HIGHEST_HERTZ = 14_000;
    /** Harmonics fall off by these powers of their number. */
    private static final double[] TILTS = {0.6, 1.2, 2.4};
    private static final int[] HARMONICS = {1, 3, 10, 40};
    private static final String[] RATES = {"slow", "medium", "fast"};
    /** Repetitions a second of an envelope, each rate's lowest; each reaches to the next. */
    private static final double[] SLOWEST = {0.3, 1.5, 6, 25};
    private static final int TABLE = 4096;
    private static final float[][][] TABLES = tables();
    /** Samples between changes of pitch and loudness. */
    private static final int CONTROL = 64;

    private final SplittableRandom random;
    private final Source source;
    private final Contour contour;
    private final Envelope envelope;
    private final int pitch;
    private final int band;
    private final int tilt;
    private final int rate;
    private final boolean narrow;

    /** Draws a sound; the same one for the same seed. */
    SyntheticSound(long seed) {
        random = new SplittableRandom(seed);
        source = drawn(Source.values());
        contour = drawn(Contour.values());
        envelope = drawn(Envelope.values());
        pitch = random.nextInt(OCTAVES);
        band = random.nextInt(OCTAVES);
        tilt = random.nextInt(TILTS.length);
        rate = random.nextInt(RATES.length);
        narrow = random.nextBoolean();
    }

    private <T> T drawn(T[] choices) {
        return choices[random.nextInt(choices.length)];
    }

    /** All names that {@link #labels} gives. */
    static List<String> vocabulary() {
        return Stream.of(
                Arrays.stream(Source.values()).map(Source::name),
                Arrays.stream(Contour.values()).map(Contour::name),
                Arrays.stream(Envelope.values()).map(Envelope::name),
                IntStream.range(0, OCTAVES).mapToObj(i -> "pitch " + i),
                IntStream.range(0, OCTAVES).mapToObj(i -> "band " + i),
                IntStream.range(0, TILTS.length).mapToObj(i -> "tilt " + i),
                Arrays.stream(RATES), Stream.of("narrow"))
                .flatMap(names -> names).map(name -> name.toLowerCase(Locale.ROOT)).toList();
    }

    /** Names of what can be heard in it. */
    List<String> labels() {
        List<String> labels = new ArrayList<>(List.of(source.name(), envelope.name()));
        if (source == Source.TONE) {
            labels.addAll(List.of(contour.name(), "pitch " + pitch, "tilt " + tilt));
        } else {
            labels.add("band " + band);
            if (narrow) {
                labels.add("narrow");
            }
        }
        if (envelope != Envelope.STEADY || source == Source.CLICKS) {
            labels.add(RATES[rate]);
        }
        return labels.stream().map(name -> name.toLowerCase(Locale.ROOT)).toList();
    }

    /** 2 to 5 s, within -1 and 1. To be called once: it goes on where the drawing of the sound stopped. */
    float[] render(int sampleRate) {
        SplittableRandom own = random.split();
        double frequency = own.nextDouble(SLOWEST[rate], SLOWEST[rate + 1]);
        float[] samples = new float[(int) (own.nextDouble(2, 5) * sampleRate)];
        switch (source) {
            case NOISE -> noise(samples, own);
            case TONE -> tone(samples, sampleRate, own);
            case CLICKS -> clicks(samples, sampleRate, 4 * frequency, own);
        }
        if (source != Source.TONE) {
            filter(samples, sampleRate, own);
        }
        shape(samples, sampleRate, frequency, own);
        finish(samples, own);
        return samples;
    }

    private static void noise(float[] samples, SplittableRandom own) {
        long state = own.nextLong() | 1;
        for (int i = 0; i < samples.length; i++) {
            state ^= state << 13; // Marsaglia 2003, xorshift
            state ^= state >>> 7;
            state ^= state << 17;
            samples[i] = (int) state * 0x1p-31f;
        }
    }

    private void tone(float[] samples, int sampleRate, SplittableRandom own) {
        double hertz = LOWEST_PITCH * Math.pow(2, pitch + own.nextDouble());
        int most = 0;
        while (most + 1 < HARMONICS.length && HARMONICS[most + 1] * hertz < HIGHEST_HERTZ) {
            most++;
        }
        float[] table = TABLES[tilt][most];
        double depth = own.nextDouble(0.03, 0.25);
        double vibrato = own.nextDouble(3, 10);
        double wander = 0;
        double phase = 0;
        for (int from = 0; from < samples.length; from += CONTROL) {
            double part = (double) from / samples.length;
            wander = 0.995 * wander + own.nextDouble(-0.02, 0.02);
            double bend = switch (contour) {
                case LEVEL -> 0;
                case RISE -> 4 * depth * part;
                case FALL -> -4 * depth * part;
                case VIBRATO -> depth * Math.sin(2 * Math.PI * vibrato * from / sampleRate);
                case WANDER -> wander;
            };
            double step = hertz * Math.pow(2, bend) * TABLE / sampleRate;
            for (int i = from; i < Math.min(from + CONTROL, samples.length); i++) {
                phase += step;
                samples[i] = table[(int) phase & TABLE - 1];
            }
        }
    }

    /** Short bursts, at even or at random distances. */
    private static void clicks(float[] samples, int sampleRate, double frequency, SplittableRandom own) {
        boolean even = own.nextBoolean();
        double decay = Math.exp(-1 / (own.nextDouble(0.0005, 0.01) * sampleRate));
        double level = 0;
        double next = 0;
        for (int i = 0; i < samples.length; i++) {
            if (i >= next) {
                level = own.nextDouble(0.3, 1);
                next += sampleRate / frequency * (even ? 1 : -Math.log(1 - own.nextDouble()));
            }
            samples[i] = level < 1e-4 ? 0 : (float) (level * own.nextDouble(-1, 1));
            level *= decay;
        }
    }

    /** A band-pass (Bristow-Johnson's cookbook, constant peak), with a little of what it takes away. */
    private void filter(float[] samples, int sampleRate, SplittableRandom own) {
        double centre = LOWEST_BAND * Math.pow(2, band + own.nextDouble());
        double quality = narrow ? own.nextDouble(4, 15) : own.nextDouble(0.4, 1);
        double omega = 2 * Math.PI * centre / sampleRate;
        double alpha = Math.sin(omega) / (2 * quality);
        float b = (float) (alpha / (1 + alpha));
        float a1 = (float) (-2 * Math.cos(omega) / (1 + alpha));
        float a2 = (float) ((1 - alpha) / (1 + alpha));
        float rest = (float) own.nextDouble(0, 0.05);
        float x1 = 0;
        float x2 = 0;
        float y1 = 0;
        float y2 = 0;
        for (int i = 0; i < samples.length; i++) {
            float x = samples[i];
            float y = b * (x - x2) - a1 * y1 - a2 * y2;
            x2 = x1;
            x1 = x;
            y2 = y1;
            y1 = y;
            samples[i] = y + rest * x;
        }
    }

    private void shape(float[] samples, int sampleRate, double frequency, SplittableRandom own) {
        double share = own.nextDouble(0.2, 0.7);
        double start = own.nextDouble();
        float last = 0;
        for (int from = 0; from < samples.length; from += CONTROL) {
            double cycle = (start + frequency * from / sampleRate) % 1;
            double loudness = switch (envelope) {
                case STEADY -> 1;
                case SWELL -> Math.pow(0.5 - 0.5 * Math.cos(2 * Math.PI * cycle), 2);
                case TREMOLO -> 1 - share * (0.5 - 0.5 * Math.cos(2 * Math.PI * cycle));
                case STRIKES -> Math.exp(-cycle / (0.3 * share));
                case GATES -> cycle < share ? 1 : 0;
            };
            // Along a line from the last loudness, so that nothing clicks.
            float slope = ((float) loudness - last) / CONTROL;
            for (int i = from; i < Math.min(from + CONTROL, samples.length); i++) {
                last += slope;
                samples[i] *= last;
            }
        }
    }

    /** Sets the level, over a floor of noise. */
    private static void finish(float[] samples, SplittableRandom own) {
        float peak = 1e-6f;
        for (float sample : samples) {
            peak = Math.max(peak, Math.abs(sample));
        }
        float level = (float) Math.pow(10, own.nextDouble(-25, 0) / 20) / peak;
        float[] floor = new float[samples.length];
        noise(floor, own);
        float share = (float) Math.pow(10, own.nextDouble(-80, -35) / 20);
        for (int i = 0; i < samples.length; i++) {
            samples[i] = Math.clamp(level * samples[i] + share * floor[i], -1f, 1f);
        }
    }

    /** One period of each mixture of harmonics, with phases that keep the peaks low (Schroeder 1970). */
    private static float[][][] tables() {
        float[][][] tables = new float[TILTS.length][HARMONICS.length][TABLE];
        for (int t = 0; t < TILTS.length; t++) {
            for (int k = 0; k < HARMONICS.length; k++) {
                for (int i = 0; i < TABLE; i++) {
                    double sum = 0;
                    for (int h = 1; h <= HARMONICS[k]; h++) {
                        double phase = Math.PI * h * (h - 1) / HARMONICS[k];
                        sum += Math.pow(h, -TILTS[t]) * Math.sin(2 * Math.PI * h * i / TABLE + phase);
                    }
                    tables[t][k][i] = (float) sum;
                }
            }
        }
        return tables;
    }
}

package io.audiomamba.evaluation;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * How much the measures would vary with other clips of the same kind: they are computed for resamples of the clips, drawn
 * with replacement (Efron and Tibshirani 1993, percentile intervals).
 */
final class Bootstrap {

    private static final double CONFIDENCE = 0.95;

    private Bootstrap() {}

    /**
     * The interval of each measure in which 95 % of {@code resamples} lie. Equal seeds give equal intervals.
     */
    static Map<Measure, Interval> intervals(Ranking ranking, int resamples, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        long[] seeds = random.longs(resamples).toArray();
        Metrics[] metrics = IntStream.range(0, resamples).parallel()
                .mapToObj(i -> ranking.metrics(counts(ranking.clips(), new SplittableRandom(seeds[i]))))
                .toArray(Metrics[]::new);
        Map<Measure, Interval> intervals = new EnumMap<>(Measure.class);
        for (Measure measure : Measure.values()) {
            double[] sorted = Arrays.stream(metrics).mapToDouble(measure::of).filter(value -> !Double.isNaN(value))
                    .sorted().toArray();
            double tail = (1 - CONFIDENCE) / 2;
            intervals.put(measure, new Interval(quantile(sorted, tail), quantile(sorted, 1 - tail)));
        }
        return intervals;
    }

    /** How often each clip is drawn. */
    private static int[] counts(int clips, SplittableRandom random) {
        int[] counts = new int[clips];
        for (int i = 0; i < clips; i++) {
            counts[random.nextInt(clips)]++;
        }
        return counts;
    }

    /** Between the neighbours linearly, also where one or both are infinite; NaN if there are no values. */
    static double quantile(double[] sorted, double share) {
        if (sorted.length == 0) {
            return Double.NaN;
        }
        double position = share * (sorted.length - 1);
        int below = (int) position;
        int above = Math.min(below + 1, sorted.length - 1);
        return position == below || sorted[below] == sorted[above] || Double.isInfinite(sorted[below])
                ? sorted[below]
                : sorted[below] + (position - below) * (sorted[above] - sorted[below]);
    }
}

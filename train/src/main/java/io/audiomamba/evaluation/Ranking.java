package io.audiomamba.evaluation;

import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Scores brought into the order that the measures need, once, so that they can be computed for many resamples of the
 * clips.
 */
final class Ranking {

    /**
     * The clips of one class by falling score.
     *
     * @param entries each clip's number, shifted left by one, and in the lowest bit whether the class is heard in it
     * @param groups  where clips of one score begin and end, in pairs, for scores that a clip with the class has
     */
    private record Order(int[] entries, int[] groups) {}

    /** As many scores as a line of the cache holds. */
    private static final int BLOCK = 16;

    private final int clips;
    /** Of each class. */
    private final Order[] orders;
    /** Of each clip: the sum over its labels of the precision at the label's rank. */
    private final double[] precisions;
    /** Of each clip: how many labels it has. */
    private final int[] labels;
    /** Of each clip: whether its highest score is one of its labels. */
    private final boolean[] right;

    /**
     * @param scores  (clips, classes), finite
     * @param targets (clips, classes), whether the class is heard
     */
    Ranking(float[][] scores, boolean[][] targets) {
        clips = scores.length;
        orders = IntStream.range(0, Math.ceilDiv(scores[0].length, BLOCK)).parallel().boxed()
                .flatMap(block -> orders(scores, targets, block * BLOCK)).toArray(Order[]::new);
        precisions = new double[clips];
        labels = new int[clips];
        right = new boolean[clips];
        IntStream.range(0, clips).parallel().forEach(i -> {
            for (int c = 0; c < scores[i].length; c++) {
                if (targets[i][c]) {
                    labels[i]++;
                    precisions[i] += precisionAt(scores[i], targets[i], c);
                }
            }
            right[i] = targets[i][Metrics.highest(scores[i])];
        });
    }

    /** The orders of {@value #BLOCK} classes: each row of the scores is read once for all of them. */
    private static Stream<Order> orders(float[][] scores, boolean[][] targets, int first) {
        int count = Math.min(BLOCK, scores[0].length - first);
        long[][] keys = new long[count][scores.length];
        for (int i = 0; i < scores.length; i++) {
            for (int c = 0; c < count; c++) {
                int bits = Float.floatToIntBits(scores[i][first + c] + 0f); // + 0: no negative zero
                int ascending = bits < 0 ? ~bits ^ Integer.MIN_VALUE : bits;
                keys[c][i] = ((long) ~ascending << 32) | i << 1 | (targets[i][first + c] ? 1 : 0);
            }
        }
        return Arrays.stream(keys).map(Ranking::order);
    }

    /** @param keys of each clip: the score's order in the upper half, falling; the entry in the lower half */
    private static Order order(long[] keys) {
        Arrays.sort(keys);
        int[] entries = new int[keys.length];
        IntStream.Builder groups = IntStream.builder();
        int begin = 0;
        boolean heard = false;
        for (int i = 0; i < entries.length; i++) {
            entries[i] = (int) keys[i];
            heard |= (entries[i] & 1) == 1;
            if (i == entries.length - 1 || keys[i] >> 32 != keys[i + 1] >> 32) {
                if (heard) {
                    groups.add(begin).add(i + 1);
                }
                begin = i + 1;
                heard = false;
            }
        }
        return new Order(entries, groups.build().toArray());
    }

    /** Ties are broken by the order of the classes. */
    private static double precisionAt(float[] scores, boolean[] targets, int c) {
        int rank = 0;
        int heard = 0;
        for (int other = 0; other < scores.length; other++) {
            if (scores[other] > scores[c] || (scores[other] == scores[c] && other <= c)) {
                rank++;
                heard += targets[other] ? 1 : 0;
            }
        }
        return (double) heard / rank;
    }

    /** How many clips there are. */
    int clips() {
        return clips;
    }

    /** The measures of the clips, each counted once. */
    Metrics metrics() {
        int[] once = new int[clips];
        Arrays.fill(once, 1);
        return metrics(once);
    }

    /** The measures of the clips, each counted {@code counts} times. */
    Metrics metrics(int[] counts) {
        double precision = 0;
        long labelled = 0;
        long correct = 0;
        long all = 0;
        for (int i = 0; i < clips; i++) {
            precision += counts[i] * precisions[i];
            labelled += (long) counts[i] * labels[i];
            correct += right[i] ? counts[i] : 0;
            all += counts[i];
        }
        double[] averagePrecision = new double[orders.length];
        double[] areaUnderCurve = new double[orders.length];
        for (int c = 0; c < orders.length; c++) {
            classMeasures(orders[c], counts, all, c, averagePrecision, areaUnderCurve);
        }
        return new Metrics(averagePrecision, areaUnderCurve, labelled == 0 ? Double.NaN : precision / labelled,
                (double) correct / all);
    }

    /**
     * Average precision as scikit-learn defines it, and the area under the curve as the share of pairs of a positive and
     * a negative clip in the right order, half for a tie (Mann and Whitney). Only where positives are is there anything to
     * compute; all other clips are merely counted.
     */
    private static void classMeasures(Order order, int[] counts, long all, int c, double[] averagePrecision,
            double[] areaUnderCurve) {
        int[] entries = order.entries();
        int[] groups = order.groups();
        long positives = 0;
        long seen = 0;
        double precision = 0;
        double wrongPairs = 0;
        int i = 0;
        for (int g = 0; g < groups.length; g += 2) {
            for (; i < groups[g]; i++) {
                seen += counts[entries[i] >> 1];
            }
            long tied = 0;
            long tiedPositives = 0;
            for (; i < groups[g + 1]; i++) {
                int count = counts[entries[i] >> 1];
                tied += count;
                tiedPositives += (long) (entries[i] & 1) * count;
            }
            if (tiedPositives > 0) {
                wrongPairs += tiedPositives * (seen - positives + 0.5 * (tied - tiedPositives));
                positives += tiedPositives;
                precision += (double) tiedPositives * positives / (seen + tied);
            }
            seen += tied;
        }
        double pairs = (double) positives * (all - positives);
        averagePrecision[c] = positives == 0 ? Double.NaN : precision / positives;
        areaUnderCurve[c] = pairs == 0 ? Double.NaN : (pairs - wrongPairs) / pairs;
    }
}

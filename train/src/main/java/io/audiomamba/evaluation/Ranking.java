package io.audiomamba.evaluation;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Scores brought into the order that the measures need, once, so that they can be computed for many resamples of the
 * clips.
 */
final class Ranking {

    // What is packed into each number of an order, below the clip.
    private static final int RIGHT = 1;
    private static final int LAST_OF_TIE = 2;
    private static final int CLIP_SHIFT = 2;

    private final int clips;
    /** Of each class: clips by falling score. */
    private final int[][] orders;
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
        orders = IntStream.range(0, scores[0].length).parallel().mapToObj(c -> order(scores, targets, c))
                .toArray(int[][]::new);
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

    private static int[] order(float[][] scores, boolean[][] targets, int c) {
        long[] keys = new long[scores.length];
        for (int i = 0; i < keys.length; i++) {
            int bits = Float.floatToIntBits(scores[i][c] + 0f); // + 0: no negative zero
            int ascending = bits < 0 ? ~bits ^ Integer.MIN_VALUE : bits;
            keys[i] = ((long) ~ascending << 32) | i;
        }
        Arrays.sort(keys);
        int[] order = new int[keys.length];
        for (int i = 0; i < order.length; i++) {
            int clip = (int) keys[i];
            boolean last = i == order.length - 1 || keys[i] >> 32 != keys[i + 1] >> 32;
            order[i] = clip << CLIP_SHIFT | (last ? LAST_OF_TIE : 0) | (targets[clip][c] ? RIGHT : 0);
        }
        return order;
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

    /** The measures of the clips, each counted {@code counts} times. */
    Metrics metrics(int[] counts) {
        double[] averagePrecision = new double[orders.length];
        double[] areaUnderCurve = new double[orders.length];
        for (int c = 0; c < orders.length; c++) {
            classMeasures(orders[c], counts, c, averagePrecision, areaUnderCurve);
        }
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
        return new Metrics(averagePrecision, areaUnderCurve, labelled == 0 ? Double.NaN : precision / labelled,
                (double) correct / all);
    }

    /**
     * Average precision as scikit-learn defines it, and the area under the curve as the share of pairs of a positive and
     * a negative clip in the right order, half for a tie (Mann and Whitney).
     */
    private static void classMeasures(int[] order, int[] counts, int c, double[] averagePrecision,
            double[] areaUnderCurve) {
        long positives = 0;
        long seen = 0;
        long positivesBefore = 0;
        long seenBefore = 0;
        double precision = 0;
        double area = 0;
        for (int entry : order) {
            int count = counts[entry >> CLIP_SHIFT];
            seen += count;
            positives += (entry & RIGHT) == 0 ? 0 : count;
            if ((entry & LAST_OF_TIE) != 0) {
                long tiedPositives = positives - positivesBefore;
                long tiedNegatives = seen - seenBefore - tiedPositives;
                if (tiedPositives > 0) {
                    precision += (double) tiedPositives * positives / seen;
                }
                area += tiedNegatives * (positivesBefore + 0.5 * tiedPositives);
                positivesBefore = positives;
                seenBefore = seen;
            }
        }
        long negatives = seen - positives;
        averagePrecision[c] = positives == 0 ? Double.NaN : precision / positives;
        areaUnderCurve[c] = positives == 0 || negatives == 0 ? Double.NaN : area / ((double) positives * negatives);
    }
}

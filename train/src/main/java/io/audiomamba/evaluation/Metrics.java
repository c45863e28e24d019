package io.audiomamba.evaluation;

import java.util.Arrays;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.apache.commons.statistics.distribution.NormalDistribution;

/**
 * The field's measures of tagging. Where scores tie they share one threshold, as in scikit-learn. A class without a
 * positive clip has no average precision, one without both kinds no area under the curve: NaN, and left out of means.
 *
 * @param averagePrecision     of each class: area under precision over recall, in steps
 * @param areaUnderCurve       of each class: area under the receiver operating characteristic
 * @param labelWeightedRanking lwlrap (DCASE 2019, task 2): precision at each right label's rank, over all labels
 * @param accuracy             the share of clips whose highest score is one of their labels
 */
public record Metrics(double[] averagePrecision, double[] areaUnderCurve, double labelWeightedRanking,
        double accuracy) {

    /**
     * @param scores  (clips, classes), finite
     * @param targets (clips, classes), whether the class is heard
     */
    public static Metrics of(float[][] scores, boolean[][] targets) {
        int classes = scores[0].length;
        double[] precision = new double[classes];
        double[] area = new double[classes];
        IntStream.range(0, classes).parallel().forEach(c -> {
            long[] order = descending(scores, c);
            precision[c] = averagePrecision(order, targets, c);
            area[c] = areaUnderCurve(order, targets, c);
        });
        return new Metrics(precision, area, labelWeightedRanking(scores, targets), accuracy(scores, targets));
    }

    /** mAP. */
    public double meanAveragePrecision() {
        return mean(averagePrecision);
    }

    /** mAUC. */
    public double meanAreaUnderCurve() {
        return mean(areaUnderCurve);
    }

    /** d' of the mean area under the curve: how far apart two normal distributions with that area would be. */
    public double sensitivityIndex() {
        return Math.sqrt(2) * NormalDistribution.of(0, 1).inverseCumulativeProbability(meanAreaUnderCurve());
    }

    private static double mean(double[] values) {
        return DoubleStream.of(values).filter(value -> !Double.isNaN(value)).average().orElse(Double.NaN);
    }

    /** Clips by falling score: the score's order in the upper half of each number, the clip in the lower. */
    private static long[] descending(float[][] scores, int c) {
        long[] keys = new long[scores.length];
        for (int i = 0; i < keys.length; i++) {
            int bits = Float.floatToIntBits(scores[i][c] + 0f); // + 0: no negative zero
            int ascending = bits < 0 ? ~bits ^ Integer.MIN_VALUE : bits;
            keys[i] = ((long) ~ascending << 32) | i;
        }
        Arrays.sort(keys);
        return keys;
    }

    private static boolean tie(long a, long b) {
        return a >> 32 == b >> 32;
    }

    private static double averagePrecision(long[] order, boolean[][] targets, int c) {
        int positives = 0;
        double sum = 0;
        int before = 0;
        for (int i = 0; i < order.length; i++) {
            positives += targets[(int) order[i]][c] ? 1 : 0;
            if (i == order.length - 1 || !tie(order[i], order[i + 1])) {
                sum += (double) (positives - before) * positives / (i + 1);
                before = positives;
            }
        }
        return positives == 0 ? Double.NaN : sum / positives;
    }

    /** The share of pairs of a positive and a negative clip in the right order; half for a tie (Mann and Whitney). */
    private static double areaUnderCurve(long[] order, boolean[][] targets, int c) {
        double above = 0;
        double area = 0;
        double negatives = 0;
        for (int i = 0; i < order.length;) {
            int tiedPositives = 0;
            int tiedNegatives = 0;
            int j = i;
            for (; j < order.length && tie(order[i], order[j]); j++) {
                if (targets[(int) order[j]][c]) {
                    tiedPositives++;
                } else {
                    tiedNegatives++;
                }
            }
            area += tiedNegatives * (above + 0.5 * tiedPositives);
            above += tiedPositives;
            negatives += tiedNegatives;
            i = j;
        }
        return above == 0 || negatives == 0 ? Double.NaN : area / (above * negatives);
    }

    /** Ties are broken by the order of the classes. */
    private static double labelWeightedRanking(float[][] scores, boolean[][] targets) {
        double sum = 0;
        long labels = 0;
        for (int i = 0; i < scores.length; i++) {
            for (int c = 0; c < scores[i].length; c++) {
                if (targets[i][c]) {
                    sum += precisionAt(scores[i], targets[i], c);
                    labels++;
                }
            }
        }
        return labels == 0 ? Double.NaN : sum / labels;
    }

    private static double precisionAt(float[] scores, boolean[] targets, int c) {
        int rank = 0;
        int right = 0;
        for (int other = 0; other < scores.length; other++) {
            if (scores[other] > scores[c] || (scores[other] == scores[c] && other <= c)) {
                rank++;
                right += targets[other] ? 1 : 0;
            }
        }
        return (double) right / rank;
    }

    private static double accuracy(float[][] scores, boolean[][] targets) {
        return IntStream.range(0, scores.length).filter(i -> targets[i][highest(scores[i])]).count()
                / (double) scores.length;
    }

    /** The first class of the highest score. */
    public static int highest(float[] scores) {
        int best = 0;
        for (int c = 1; c < scores.length; c++) {
            best = scores[c] > scores[best] ? c : best;
        }
        return best;
    }
}

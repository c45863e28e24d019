package io.audiomamba.evaluation;

import java.util.stream.DoubleStream;
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
        return new Ranking(scores, targets).metrics();
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
        double area = meanAreaUnderCurve();
        return Double.isNaN(area)
                ? Double.NaN
                : Math.sqrt(2) * NormalDistribution.of(0, 1).inverseCumulativeProbability(area);
    }

    private static double mean(double[] values) {
        return DoubleStream.of(values).filter(value -> !Double.isNaN(value)).average().orElse(Double.NaN);
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

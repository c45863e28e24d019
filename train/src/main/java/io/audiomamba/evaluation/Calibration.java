package io.audiomamba.evaluation;

import io.audiomamba.checkpoint.Description.Activation;

/** How far probabilities can be believed (Guo et al. 2017, "On Calibration of Modern Neural Networks"). */
public final class Calibration {

    private static final int BINS = 15;
    private static final double LOWEST = 0.05;
    private static final double HIGHEST = 20;

    private Calibration() {}

    /**
     * The temperature, in [{@value #LOWEST}, {@value #HIGHEST}], that makes the labels most likely by held-out
     * {@code predictions} of a model with {@code activation}.
     */
    public static double temperature(Predictions predictions, Activation activation) {
        // The negative log-likelihood is convex in 1 / T and so has one minimum over log T: golden-section search.
        double ratio = (Math.sqrt(5) - 1) / 2;
        double low = Math.log(LOWEST);
        double high = Math.log(HIGHEST);
        while (high - low > 1e-6) {
            double left = high - ratio * (high - low);
            double right = low + ratio * (high - low);
            if (negativeLogLikelihood(predictions, activation, Math.exp(left)) < negativeLogLikelihood(predictions,
                    activation, Math.exp(right))) {
                high = right;
            } else {
                low = left;
            }
        }
        return Math.exp((low + high) / 2);
    }

    /**
     * The mean over clips of -log p: for {@code SOFTMAX} of the clip's label, for {@code SIGMOID} summed over all classes,
     * of being heard or not.
     */
    public static double negativeLogLikelihood(Predictions predictions, Activation activation, double temperature) {
        float[][] logProbabilities = predictions.logProbabilities(activation, temperature);
        double sum = 0;
        for (int i = 0; i < logProbabilities.length; i++) {
            for (int c = 0; c < logProbabilities[i].length; c++) {
                if (predictions.targets()[i][c]) {
                    sum -= logProbabilities[i][c];
                } else if (activation == Activation.SIGMOID) {
                    // log(1 - p) is log p less the logit, exactly also where p is almost 1.
                    sum -= logProbabilities[i][c] - predictions.logits()[i][c] / temperature;
                }
            }
        }
        return sum / logProbabilities.length;
    }

    /** {@link #error(float[][], boolean[][], Activation)} of the probabilities at {@code temperature}. */
    public static double error(Predictions predictions, Activation activation, double temperature) {
        return error(predictions.logProbabilities(activation, temperature), predictions.targets(), activation);
    }

    /**
     * The expected calibration error, in [0, 1]: decisions are sorted into {@value #BINS} bins of equal width by their
     * probability; in each bin the mean probability should be the share of decisions that are right. The mean distance of
     * the two, weighted by decisions. For {@code SOFTMAX} a clip is one decision, for its most probable class; for
     * {@code SIGMOID} each class of each clip is one.
     *
     * @param logProbabilities (clips, classes)
     * @param targets          (clips, classes), whether the class is heard
     */
    public static double error(float[][] logProbabilities, boolean[][] targets, Activation activation) {
        double[] distance = new double[BINS];
        long decisions = 0;
        for (int i = 0; i < logProbabilities.length; i++) {
            int first = activation == Activation.SOFTMAX ? Metrics.highest(logProbabilities[i]) : 0;
            int last = activation == Activation.SOFTMAX ? first : logProbabilities[i].length - 1;
            for (int c = first; c <= last; c++) {
                double probability = Math.exp(logProbabilities[i][c]);
                int bin = Math.min(BINS - 1, (int) (probability * BINS));
                distance[bin] += probability - (targets[i][c] ? 1 : 0);
                decisions++;
            }
        }
        double sum = 0;
        for (double bin : distance) {
            sum += Math.abs(bin);
        }
        return sum / decisions;
    }
}

package io.audiomamba.evaluation;

/**
 * How far probabilities can be believed, for clips with one label (Guo et al. 2017, "On Calibration of Modern Neural
 * Networks").
 */
public final class Calibration {

    private static final int BINS = 15;

    private Calibration() {}

    /** The temperature, in [0.05, 20], that makes held-out {@code predictions} most likely. */
    public static double temperature(Predictions predictions) {
        // The negative log-likelihood is convex in 1 / T and so has one minimum over log T: golden-section search.
        double ratio = (Math.sqrt(5) - 1) / 2;
        double low = Math.log(0.05);
        double high = Math.log(20);
        while (high - low > 1e-6) {
            double left = high - ratio * (high - low);
            double right = low + ratio * (high - low);
            if (negativeLogLikelihood(predictions, Math.exp(left)) < negativeLogLikelihood(predictions,
                    Math.exp(right))) {
                high = right;
            } else {
                low = left;
            }
        }
        return Math.exp((low + high) / 2);
    }

    /** The mean of -log p over the right labels. */
    public static double negativeLogLikelihood(Predictions predictions, double temperature) {
        float[][] probabilities = predictions.softmax(temperature);
        double sum = 0;
        for (int i = 0; i < probabilities.length; i++) {
            for (int c = 0; c < probabilities[i].length; c++) {
                if (predictions.targets()[i][c]) {
                    sum -= Math.log(Math.max(1e-12, probabilities[i][c]));
                }
            }
        }
        return sum / probabilities.length;
    }

    /**
     * The expected calibration error: over {@value #BINS} bins of the highest probability, the mean distance between
     * that probability and the share of right answers, weighted by clips. In [0, 1].
     */
    public static double error(Predictions predictions, double temperature) {
        float[][] probabilities = predictions.softmax(temperature);
        double[] distance = new double[BINS];
        for (int i = 0; i < probabilities.length; i++) {
            int answer = Metrics.highest(probabilities[i]);
            double confidence = probabilities[i][answer];
            int bin = Math.min(BINS - 1, (int) (confidence * BINS));
            distance[bin] += confidence - (predictions.targets()[i][answer] ? 1 : 0);
        }
        double sum = 0;
        for (double bin : distance) {
            sum += Math.abs(bin);
        }
        return sum / probabilities.length;
    }
}

package io.audiomamba.data;

import tools.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import tools.jackson.databind.annotation.JsonNaming;

/**
 * What a front end makes of a dataset, over all frames of the first window of each clip.
 *
 * @param name          of the front end
 * @param mean          of all values
 * @param deviation     their standard deviation
 * @param binMeans      the mean of each bin
 * @param binDeviations the standard deviation of each bin
 */
@JsonNaming(SnakeCaseStrategy.class)
public record FrontEndStatistics(String name, double mean, double deviation, double[] binMeans,
        double[] binDeviations) {

    /** Adds up values. Not thread-safe. */
    static final class Sums {

        private final String name;
        private double[] sums;
        private double[] squares;
        private long frames;

        Sums(String name) {
            this.name = name;
        }

        /** @param image frames of {@code bins} values, one after the other */
        void add(float[] image, int bins) {
            if (sums == null) {
                sums = new double[bins];
                squares = new double[bins];
            }
            for (int i = 0; i < image.length; i++) {
                sums[i % bins] += image[i];
                squares[i % bins] += (double) image[i] * image[i];
            }
            frames += image.length / bins;
        }

        FrontEndStatistics statistics() {
            double[] means = new double[sums.length];
            double[] deviations = new double[sums.length];
            double sum = 0;
            double square = 0;
            for (int bin = 0; bin < sums.length; bin++) {
                means[bin] = sums[bin] / frames;
                deviations[bin] = deviation(means[bin], squares[bin] / frames);
                sum += sums[bin];
                square += squares[bin];
            }
            double mean = sum / frames / sums.length;
            return new FrontEndStatistics(name, mean, deviation(mean, square / frames / sums.length), means,
                    deviations);
        }

        private static double deviation(double mean, double meanSquare) {
            return Math.sqrt(Math.max(0, meanSquare - mean * mean));
        }
    }
}

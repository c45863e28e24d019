package io.audiomamba.evaluation;

import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import java.util.Arrays;
import java.util.List;

/**
 * What a model says of the clips of a dataset.
 *
 * @param clips   their names
 * @param logits  (clips, classes)
 * @param targets (clips, classes), whether the class is heard
 */
public record Predictions(List<String> clips, float[][] logits, boolean[][] targets) {

    /** @throws IllegalArgumentException if there are no clips, or not for each a row of either, all of one width */
    public Predictions {
        if (clips.isEmpty() || logits.length != clips.size() || targets.length != clips.size()
                || Arrays.stream(logits).anyMatch(row -> row.length != logits[0].length)
                || Arrays.stream(targets).anyMatch(row -> row.length != targets[0].length)) {
            throw new IllegalArgumentException("not a whole row of logits and one of targets for each clip");
        }
    }

    /** Right answers for {@code dataset}, beside {@code logits}. */
    public static Predictions of(Dataset dataset, float[][] logits) {
        return of(dataset.clips(), dataset.labels().size(), logits);
    }

    /** Right answers for {@code clips} of a dataset of so many {@code classes}, beside {@code logits}. */
    static Predictions of(List<Clip> clips, int classes, float[][] logits) {
        boolean[][] targets = new boolean[logits.length][classes];
        for (int i = 0; i < targets.length; i++) {
            for (int label : clips.get(i).labels()) {
                targets[i][label] = true;
            }
        }
        return new Predictions(clips.stream().map(Clip::name).toList(), logits, targets);
    }

    /** The measures, by the probabilities that {@code activation}, the model's, makes of the logits. */
    public Metrics metrics(Activation activation) {
        return Metrics.of(logProbabilities(activation, 1), targets);
    }

    /** Whether every clip has exactly one label. */
    public boolean isSingleLabel() {
        for (boolean[] row : targets) {
            int labels = 0;
            for (boolean target : row) {
                labels += target ? 1 : 0;
            }
            if (labels != 1) {
                return false;
            }
        }
        return true;
    }

    /** The number of clips of a class. */
    public int clipsOf(int label) {
        int count = 0;
        for (boolean[] row : targets) {
            count += row[label] ? 1 : 0;
        }
        return count;
    }

    /** Of clips with one label: how many of each class (row) were taken for each class (column). */
    public int[][] confusion() {
        int classes = targets[0].length;
        int[][] confusion = new int[classes][classes];
        for (int i = 0; i < targets.length; i++) {
            int answer = Metrics.highest(logits[i]);
            for (int c = 0; c < classes; c++) {
                confusion[c][answer] += targets[i][c] ? 1 : 0;
            }
        }
        return confusion;
    }

    /**
     * Logarithms of the probabilities, (clips, classes): unlike the probabilities themselves they do not all become one
     * where the model is very sure.
     *
     * @param temperature the logits are divided by it
     */
    public float[][] logProbabilities(Activation activation, double temperature) {
        float[][] result = new float[logits.length][];
        for (int i = 0; i < logits.length; i++) {
            result[i] = switch (activation) {
                case SIGMOID -> logSigmoid(logits[i], temperature);
                case SOFTMAX -> logSoftmax(logits[i], temperature);
            };
        }
        return result;
    }

    private static float[] logSigmoid(float[] row, double temperature) {
        float[] result = new float[row.length];
        for (int c = 0; c < row.length; c++) {
            double x = row[c] / temperature;
            result[c] = (float) (Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))));
        }
        return result;
    }

    private static float[] logSoftmax(float[] row, double temperature) {
        int highest = Metrics.highest(row);
        double others = 0;
        for (int c = 0; c < row.length; c++) {
            others += c == highest ? 0 : Math.exp(((double) row[c] - row[highest]) / temperature);
        }
        double logSum = Math.log1p(others);
        float[] result = new float[row.length];
        for (int c = 0; c < row.length; c++) {
            result[c] = (float) (((double) row[c] - row[highest]) / temperature - logSum);
        }
        return result;
    }
}

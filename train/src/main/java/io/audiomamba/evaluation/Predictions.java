package io.audiomamba.evaluation;

import io.audiomamba.data.Dataset;
import java.util.List;

/**
 * What a model says of the clips of a dataset.
 *
 * @param clips   their names
 * @param logits  (clips, classes)
 * @param targets (clips, classes), whether the class is heard
 */
public record Predictions(List<String> clips, float[][] logits, boolean[][] targets) {

    /** Right answers for {@code dataset}, beside {@code logits}. */
    public static Predictions of(Dataset dataset, float[][] logits) {
        boolean[][] targets = new boolean[logits.length][dataset.labels().size()];
        for (int i = 0; i < targets.length; i++) {
            for (int label : dataset.clips().get(i).labels()) {
                targets[i][label] = true;
            }
        }
        return new Predictions(dataset.clips().stream().map(clip -> clip.name()).toList(), logits, targets);
    }

    /** The measures; logits order clips and classes as probabilities do, of clips with one label each class by class. */
    public Metrics metrics() {
        return Metrics.of(isSingleLabel() ? softmax(1) : logits, targets);
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

    /** Probabilities that sum to one, of logits divided by {@code temperature}. */
    public float[][] softmax(double temperature) {
        float[][] probabilities = new float[logits.length][];
        for (int i = 0; i < logits.length; i++) {
            float[] row = logits[i];
            double largest = row[Metrics.highest(row)];
            double sum = 0;
            for (float logit : row) {
                sum += Math.exp((logit - largest) / temperature);
            }
            probabilities[i] = new float[row.length];
            for (int c = 0; c < row.length; c++) {
                probabilities[i][c] = (float) (Math.exp((row[c] - largest) / temperature) / sum);
            }
        }
        return probabilities;
    }
}

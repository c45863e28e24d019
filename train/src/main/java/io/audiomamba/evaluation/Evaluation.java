package io.audiomamba.evaluation;

import io.audiomamba.checkpoint.Description;
import io.audiomamba.data.Dataset;
import java.util.List;
import java.util.Map;

/**
 * How well a model does on a dataset.
 *
 * @param model    what it is called
 * @param data     what the dataset is called
 * @param labels   of the dataset
 * @param clips    names of the clips that were heard
 * @param targets  (clips, classes), whether the class is heard
 * @param plain    of the clips as they are
 * @param shifted  of the mean logits over {@code shifts} cyclic shifts of each clip; null if there was one only
 * @param shifts   how many
 * @param failures clips that could not be decoded, and why
 */
public record Evaluation(String model, String data, List<String> labels, List<String> clips, boolean[][] targets,
        Scores plain, Scores shifted, int shifts, Map<String, String> failures) {

    /** How often clips are drawn anew for the intervals. */
    public static final int RESAMPLES = 1000;

    /**
     * One set of predictions.
     *
     * @param logProbabilities (clips, classes)
     * @param intervals        by the bootstrap over clips
     * @param calibrationError see {@link Calibration#error(float[][], boolean[][], Activation)}
     */
    public record Scores(float[][] logProbabilities, Metrics metrics, Map<Measure, Interval> intervals,
            double calibrationError) {}

    /**
     * Measures an outcome.
     *
     * @param map  from the model's classes to the dataset's
     * @param seed of the bootstrap
     */
    public static Evaluation of(String name, Description model, Dataset dataset, LabelMap map,
            Evaluator.Outcome outcome, int shifts, long seed) {
        boolean[][] targets = outcome.plain().targets();
        return new Evaluation(name, dataset.title(), dataset.labels(), outcome.plain().clips(), targets,
                scores(model, map, outcome.plain(), seed),
                shifts == 1 ? null : scores(model, map, outcome.shifted(), seed), shifts, outcome.failures());
    }

    private static Scores scores(Description model, LabelMap map, Predictions predictions, long seed) {
        float[][] scores = map
                .apply(predictions.logProbabilities(model.activation(), model.temperature()));
        Ranking ranking = new Ranking(scores, predictions.targets());
        return new Scores(scores, ranking.metrics(), Bootstrap.intervals(ranking, RESAMPLES, seed),
                Calibration.error(scores, predictions.targets(), model.activation()));
    }

    /** What the model says of the clips as they are, with its log-probabilities for logits. */
    public Predictions predictions() {
        return new Predictions(clips, plain.logProbabilities(), targets);
    }
}

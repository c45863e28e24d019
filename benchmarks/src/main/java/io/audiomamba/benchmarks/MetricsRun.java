package io.audiomamba.benchmarks;

import io.audiomamba.evaluation.Evaluation;
import io.audiomamba.evaluation.Evaluator;
import io.audiomamba.evaluation.LabelMap;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.evaluation.Metrics;
import io.audiomamba.evaluation.Predictions;
import io.audiomamba.labels.AudioSet;
import io.audiomamba.model.Variants;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/** How long the measures of AudioSet's evaluation set take: 20,000 clips, 527 classes, 2.6 labels a clip. */
public final class MetricsRun {

    private static final int CLIPS = 20_000;
    private static final int CLASSES = 527;
    private static final double LABELS_A_CLIP = 2.6;
    private static final int RUNS = 7;

    private MetricsRun() {}

    public static void main(String[] arguments) {
        Random random = new Random(1);
        float[][] scores = new float[CLIPS][CLASSES];
        List<Clip> clips = new ArrayList<>();
        for (int i = 0; i < CLIPS; i++) {
            List<Integer> labels = new ArrayList<>(List.of(random.nextInt(CLASSES)));
            for (int c = 0; c < CLASSES; c++) {
                if (random.nextDouble() < (LABELS_A_CLIP - 1) / CLASSES) {
                    labels.add(c);
                }
                scores[i][c] = (float) random.nextGaussian(labels.contains(c) ? 2 : 0, 1);
            }
            clips.add(new Clip("clip" + i, Path.of("clip" + i), labels, 0));
        }
        Dataset dataset = new Dataset("made up", AudioSet.names(), clips, List.of(), Dataset.Sounds.DECODED);
        Predictions predictions = Predictions.of(dataset, scores);
        for (int run = 0; run < RUNS; run++) {
            long start = System.nanoTime();
            Metrics metrics = Metrics.of(scores, predictions.targets());
            System.out.printf(Locale.ROOT, "measures: %.3f s, mAP %.4f%n", (System.nanoTime() - start) / 1e9,
                    metrics.meanAveragePrecision());
        }
        Description tiny = new Description(Variants.named("tiny"), "htsat-logmel", AudioSet.names(),
                Activation.SIGMOID, 1, Map.of());
        long start = System.nanoTime();
        Evaluation.of("made up", tiny, dataset, LabelMap.byName(AudioSet.names(), AudioSet.names()),
                new Evaluator.Outcome(predictions, predictions, Map.of()), 1, 1);
        System.out.printf(Locale.ROOT, "with intervals of %d resamples and calibration: %.1f s%n", Evaluation.RESAMPLES,
                (System.nanoTime() - start) / 1e9);
    }
}

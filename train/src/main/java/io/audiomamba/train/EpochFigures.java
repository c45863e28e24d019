package io.audiomamba.train;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import io.audiomamba.evaluation.Metrics;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A line of {@code metrics.jsonl}: what is known after an epoch.
 *
 * @param epoch                from 1
 * @param loss                 mean over the epoch's batches
 * @param learningRate         at its beginning
 * @param clipsPerSecond       that were trained on; null if none was since the epoch was resumed
 * @param skipped              clips that could not be read
 * @param time                 when it ended, in seconds since 1970
 * @param accuracy             on held-out clips, in [0, 1]; this and what follows is null where there were none
 * @param meanAveragePrecision mAP, in [0, 1]
 * @param meanAreaUnderCurve   mAUC, in [0, 1]
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
@JsonPropertyOrder({"epoch", "loss", "learning_rate", "clips_per_second", "skipped", "time", "accuracy", "mAP", "mAUC"})
public record EpochFigures(@JsonProperty(required = true) int epoch, @JsonProperty(required = true) double loss,
        @JsonProperty(value = "learning_rate", required = true) double learningRate,
        @JsonProperty("clips_per_second") Double clipsPerSecond, @JsonProperty(required = true) int skipped,
        @JsonProperty(required = true) double time, Double accuracy,
        @JsonProperty("mAP") Double meanAveragePrecision, @JsonProperty("mAUC") Double meanAreaUnderCurve) {

    /** @throws IllegalArgumentException if there is no such epoch */
    public EpochFigures {
        if (epoch < 1) {
            throw new IllegalArgumentException("epochs are counted from 1");
        }
    }

    static EpochFigures of(Trainer.Epoch epoch, Metrics metrics, double time) {
        return new EpochFigures(epoch.number(), epoch.loss(), epoch.learningRate(), epoch.clipsPerSecond(),
                epoch.skipped(), time, metrics == null ? null : metrics.accuracy(),
                metrics == null ? null : metrics.meanAveragePrecision(),
                metrics == null ? null : metrics.meanAreaUnderCurve());
    }

    /** By the names that TensorBoard groups them by. */
    Map<String, Double> scalars() {
        Map<String, Double> scalars = new LinkedHashMap<>();
        scalars.put("train/loss", loss);
        scalars.put("train/learning_rate", learningRate);
        scalars.put("train/clips_per_second", clipsPerSecond);
        scalars.put("train/skipped", (double) skipped);
        scalars.put("held_out/accuracy", accuracy);
        scalars.put("held_out/mAP", meanAveragePrecision);
        scalars.put("held_out/mAUC", meanAreaUnderCurve);
        scalars.values().removeIf(java.util.Objects::isNull);
        return scalars;
    }
}

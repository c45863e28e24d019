package io.audiomamba.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.evaluation.Evaluation;
import io.audiomamba.evaluation.EvaluationReport;
import io.audiomamba.evaluation.Interval;
import io.audiomamba.evaluation.Measure;
import io.audiomamba.evaluation.Metrics;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class EvaluationFormatTest {

    /** Of a model that is always right, and a class that no clip has. */
    @Test
    void figuresThatAreNoNumbers() {
        float[][] scores = {{0, -5, -5}, {-5, 0, -5}};
        boolean[][] targets = {{true, false, false}, {false, true, false}};
        Map<Measure, Interval> intervals = Arrays.stream(Measure.values())
                .collect(Collectors.toMap(measure -> measure, _ -> new Interval(1.5, Double.POSITIVE_INFINITY)));
        Evaluation evaluation = new Evaluation("model", "data", List.of("dog", "rain", "cat"), List.of("a", "b"),
                targets, new Evaluation.Scores(scores, Metrics.of(scores, targets), intervals, 0), null, 1, Map.of());
        StringWriter text = new StringWriter();
        EvaluationFormat.TEXT.print(evaluation, new EvaluationReport(evaluation), new PrintWriter(text, true));
        assertThat(text.toString()).contains("d'                       ∞ ( 1.5000 to       ∞)",
                "     -      -      0  cat").doesNotContain("NaN", "Infinity");
    }
}

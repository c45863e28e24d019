package io.audiomamba.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.golden.Generator;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/** Measures against scikit-learn's, and what they say where there is little to say. */
class MetricsTest {

    /** One agreed limit, on every figure. */
    private static final double TOLERANCE = 1e-9;

    static List<JsonNode> references() throws IOException {
        try (InputStream in = MetricsTest.class.getResourceAsStream("/golden/metrics.json")) {
            return new ObjectMapper().readTree(in).get("cases").valueStream().toList();
        }
    }

    /** The scores and targets of a reference, by the rule that its file states. */
    private record Case(float[][] scores, boolean[][] targets) {

        static Case of(JsonNode reference) {
            String key = reference.get("key").asString();
            int clips = reference.get("n").asInt();
            int classes = reference.get("classes").asInt();
            JsonNode steps = reference.get("quantised_to");
            float[] noise = Generator.values(key + ".scores", (long) clips * classes);
            float[] chance = Generator.values(key + ".targets", (long) clips * classes);
            float[][] scores = new float[clips][classes];
            boolean[][] targets = new boolean[clips][classes];
            for (int i = 0; i < noise.length; i++) {
                boolean target = (chance[i] + 1.0) / 2 < reference.get("density").asDouble();
                double score = noise[i] + (target ? 0.6 : 0);
                scores[i / classes][i % classes] = (float) (steps.isNull()
                        ? score
                        : Math.rint(score * steps.asInt()) / steps.asInt());
                targets[i / classes][i % classes] = target;
            }
            return new Case(scores, targets);
        }
    }

    @ParameterizedTest
    @MethodSource("references")
    void agreesWithScikitLearn(JsonNode reference) {
        Case made = Case.of(reference);
        Metrics metrics = Metrics.of(made.scores, made.targets);
        assertThat(metrics.averagePrecision()).containsExactly(doubles(reference, "average_precision"),
                within(TOLERANCE));
        assertThat(metrics.areaUnderCurve()).containsExactly(doubles(reference, "roc_auc"), within(TOLERANCE));
        assertThat(metrics.meanAveragePrecision()).isCloseTo(reference.get("mAP").asDouble(), within(TOLERANCE));
        assertThat(metrics.meanAreaUnderCurve()).isCloseTo(reference.get("mAUC").asDouble(), within(TOLERANCE));
        assertThat(metrics.sensitivityIndex()).isCloseTo(reference.get("d_prime_of_mAUC").asDouble(),
                within(TOLERANCE));
        assertThat(metrics.labelWeightedRanking()).isCloseTo(reference.get("lwlrap_stable_ties").asDouble(),
                within(TOLERANCE));
    }

    private static double[] doubles(JsonNode reference, String key) {
        return reference.get(key).valueStream().mapToDouble(JsonNode::asDouble).toArray();
    }

    @ParameterizedTest
    @MethodSource("references")
    void aClipCountedTwiceIsTwoClips(JsonNode reference) {
        Case made = Case.of(reference);
        int[] counts = new int[made.scores.length];
        Arrays.setAll(counts, i -> i % 3);
        float[][] scores = repeated(made.scores, counts).toArray(float[][]::new);
        boolean[][] targets = repeated(made.targets, counts).toArray(boolean[][]::new);
        Metrics counted = new Ranking(made.scores, made.targets).metrics(counts);
        Metrics plain = Metrics.of(scores, targets);
        assertThat(counted.averagePrecision()).containsExactly(plain.averagePrecision(), within(1e-12));
        assertThat(counted.areaUnderCurve()).containsExactly(plain.areaUnderCurve(), within(1e-12));
        assertThat(counted.labelWeightedRanking()).isCloseTo(plain.labelWeightedRanking(), within(1e-12));
        assertThat(counted.accuracy()).isCloseTo(plain.accuracy(), within(1e-12));
    }

    private static <T> List<T> repeated(T[] rows, int[] counts) {
        List<T> repeated = new java.util.ArrayList<>();
        for (int i = 0; i < rows.length; i++) {
            repeated.addAll(java.util.Collections.nCopies(counts[i], rows[i]));
        }
        return repeated;
    }

    @Test
    void aClassWithoutAPositiveIsLeftOutOfMeans() {
        Metrics metrics = Metrics.of(new float[][] {{1, 0}, {0, 1}}, new boolean[][] {{true, false}, {false, false}});
        assertThat(metrics.averagePrecision()).containsExactly(1, Double.NaN);
        assertThat(metrics.areaUnderCurve()).containsExactly(1, Double.NaN);
        assertThat(metrics.meanAveragePrecision()).isEqualTo(1);
        assertThat(metrics.accuracy()).isEqualTo(0.5);
    }

    @Test
    void nothingToMeasureIsNotANumber() {
        Metrics metrics = Metrics.of(new float[][] {{1, 0}}, new boolean[][] {{false, false}});
        assertThat(metrics.meanAveragePrecision()).isNaN();
        assertThat(metrics.sensitivityIndex()).isNaN();
        assertThat(metrics.labelWeightedRanking()).isNaN();
        assertThat(metrics.accuracy()).isZero();
    }

    @Test
    void zerosOfBothSignsTie() {
        Metrics metrics = Metrics.of(new float[][] {{-0f}, {0f}, {-1f}, {-2f}},
                new boolean[][] {{true}, {false}, {false}, {true}});
        // Thresholds: {two at zero: one right}, {-1}, {-2: the other}.
        assertThat(metrics.averagePrecision()[0]).isCloseTo(0.5 * 0.5 + 0.5 * 0.5, within(1e-12));
        assertThat(metrics.areaUnderCurve()[0]).isCloseTo(1.5 / 4, within(1e-12));
    }
}

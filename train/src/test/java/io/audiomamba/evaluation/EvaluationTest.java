package io.audiomamba.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.data.Tones;
import io.audiomamba.error.AudioException;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Variants;
import io.audiomamba.torch.Devices;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/** From clips to a report, with a tiny model whose weights are random. */
class EvaluationTest {

    private static final List<String> LABELS = List.of("low", "middle, more or less", "high");
    private static final Dataset TONES = Tones.dataset(LABELS, 1, 2);

    @TempDir
    private Path folder;

    private static ModelConfig model(InputKind input) {
        return Variants.named("nano_s1").forAudio(input, LABELS.size(), HeadKind.LINEAR);
    }

    private static Evaluator.Outcome predict(InputKind input, Dataset dataset, int shifts) {
        try (var _ = new PointerScope(); Parameters parameters = new Parameters(Parameters.Source.random(3))) {
            AudioMamba model = new AudioMamba(model(input), parameters);
            return new Evaluator(model, FrontEnd.named(Description.frontEndOf(input), Devices.cpu()), Devices.cpu())
                    .predict(dataset, shifts);
        }
    }

    /** Clips of several lengths in one batch are heard as each alone. */
    @ParameterizedTest
    @EnumSource(names = {"FOLDED_LOG_MEL", "FILTER_BANK"})
    void aBatchHearsEachClipAlike(InputKind input) {
        Dataset dataset = new Dataset("lengths", LABELS, TONES.clips().subList(0, 3), List.of(), new Dataset.Sounds() {
            @Override
            public float[] read(Clip clip, int sampleRate) {
                return Tones.tone(sampleRate, 500, 0.1 * (1 + TONES.clips().indexOf(clip)));
            }

            @Override
            public int storedRate(Clip clip) {
                return 8000;
            }
        });
        Predictions together = predict(input, dataset, 1).plain();
        for (int i = 0; i < 3; i++) {
            Clip clip = dataset.clips().get(i);
            Predictions alone = predict(input, dataset.where(clip::equals), 1).plain();
            assertThat(together.logits()[i]).containsExactly(alone.logits()[0], within(1e-5f));
        }
    }

    @Test
    void corruptClipsAreNamedAndLeftOut() {
        List<Clip> clips = new ArrayList<>(TONES.clips());
        clips.add(1, new Clip(Tones.BROKEN, Path.of("x.wav"), List.of(2), 1));
        Dataset dataset = new Dataset("tones", LABELS, clips, List.of(), TONES.sounds());
        Evaluator.Outcome outcome = predict(InputKind.FOLDED_LOG_MEL, dataset, 2);
        assertThat(outcome.failures()).isEqualTo(Map.of(Tones.BROKEN, "broken: is damaged after 0.10 s."));
        assertThat(outcome.plain().clips()).isEqualTo(TONES.clips().stream().map(Clip::name).toList());
        assertThat(outcome.plain().targets()).isDeepEqualTo(Predictions.of(TONES, new float[6][3]).targets());
        assertThat(outcome.shifted().clips()).isEqualTo(outcome.plain().clips());
        assertThatThrownBy(() -> predict(InputKind.FOLDED_LOG_MEL, dataset.where(clip -> clip == clips.get(1)), 1))
                .isInstanceOf(AudioException.class)
                .hasMessage("tones: none of the 1 clips can be decoded, such as broken: is damaged after 0.10 s.");
    }

    @Test
    void oneShiftIsThePlainPrediction() {
        Evaluator.Outcome one = predict(InputKind.FOLDED_LOG_MEL, TONES, 1);
        Evaluator.Outcome three = predict(InputKind.FOLDED_LOG_MEL, TONES, 3);
        assertThat(one.shifted().logits()).isDeepEqualTo(one.plain().logits());
        assertThat(three.plain().logits()).isDeepEqualTo(one.plain().logits());
        assertThat(three.shifted().logits()[0]).isNotEqualTo(three.plain().logits()[0]);
    }

    /** Logits that are right but for the last clip, which is taken for the first class. */
    private static Evaluation evaluation(Activation activation, double temperature, int shifts) {
        return evaluation(activation, temperature, shifts, Map.of("gone, alas", "gone: is damaged."));
    }

    private static Evaluation evaluation(Activation activation, double temperature, int shifts,
            Map<String, String> failures) {
        float[][] logits = new float[6][3];
        for (int i = 0; i < 6; i++) {
            logits[i][i == 5 ? 0 : i / 2] = 2 + 0.1f * i;
        }
        Description description = new Description(model(InputKind.FOLDED_LOG_MEL), "htsat-logmel", LABELS, activation,
                temperature, Map.of());
        Predictions predictions = Predictions.of(TONES, logits);
        return Evaluation.of("m", description, TONES, LabelMap.byName(LABELS, LABELS),
                new Evaluator.Outcome(predictions, predictions, failures), shifts, 1);
    }

    @Test
    void probabilitiesAreTheTaggers() {
        float[] softmax = evaluation(Activation.SOFTMAX, 2, 1).plain().logProbabilities()[0];
        double e = Math.E;
        assertThat(Math.exp(softmax[0])).isCloseTo(e / (e + 2), within(1e-6));
        float[] sigmoid = evaluation(Activation.SIGMOID, 2, 1).plain().logProbabilities()[0];
        assertThat(Math.exp(sigmoid[0])).isCloseTo(e / (e + 1), within(1e-6));
        assertThat(Math.exp(sigmoid[1])).isCloseTo(0.5, within(1e-6));
    }

    @Test
    void intervalsAreSeededAndHoldTheFigure() {
        Random random = new Random(1);
        float[][] scores = new float[200][4];
        boolean[][] targets = new boolean[200][4];
        for (int i = 0; i < 200; i++) {
            for (int c = 0; c < 4; c++) {
                targets[i][c] = random.nextInt(3) == 0;
                scores[i][c] = (float) random.nextGaussian(targets[i][c] ? 1 : 0, 1);
            }
        }
        Ranking ranking = new Ranking(scores, targets);
        Map<Measure, Interval> intervals = Bootstrap.intervals(ranking, 500, 7);
        for (Measure measure : Measure.values()) {
            double figure = measure.of(ranking.metrics());
            Interval interval = intervals.get(measure);
            assertThat(figure).as(measure.symbol()).isStrictlyBetween(interval.low(), interval.high());
            assertThat(interval.high() - interval.low()).as(measure.symbol()).isBetween(0.01, 0.5);
        }
        // A share of 200 clips varies like a binomial distribution.
        double accuracy = ranking.metrics().accuracy();
        double expected = 2 * 1.96 * Math.sqrt(accuracy * (1 - accuracy) / 200);
        Interval interval = intervals.get(Measure.ACCURACY);
        assertThat(interval.high() - interval.low()).isCloseTo(expected, within(0.02));
        assertThat(Bootstrap.intervals(ranking, 500, 7)).isEqualTo(intervals);
        assertThat(Bootstrap.intervals(ranking, 500, 8)).isNotEqualTo(intervals);
    }

    /** A model that is always right. */
    @Test
    void quantilesBetweenInfinities() {
        double inf = Double.POSITIVE_INFINITY;
        assertThat(Bootstrap.quantile(new double[] {-inf, 1}, 0.25)).isEqualTo(-inf);
        assertThat(Bootstrap.quantile(new double[] {1, inf}, 0.25)).isEqualTo(inf);
        assertThat(Bootstrap.quantile(new double[] {-inf, inf}, 0.5)).isEqualTo(-inf);
        assertThat(Bootstrap.quantile(new double[] {1, 3}, 0.25)).isEqualTo(1.5);
    }

    @Test
    void theSensitivityIndexOfAPerfectRankingIsInfinite() {
        Ranking ranking = new Ranking(new float[][] {{1, 0}, {1, 0}, {0, 1}, {0, 1}},
                new boolean[][] {{true, false}, {true, false}, {false, true}, {false, true}});
        assertThat(ranking.metrics().sensitivityIndex()).isEqualTo(Double.POSITIVE_INFINITY);
        assertThat(Bootstrap.intervals(ranking, 200, 7).get(Measure.SENSITIVITY_INDEX))
                .isEqualTo(new Interval(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY));
    }

    @Test
    void json() {
        JsonNode json = new ObjectMapper().readTree(new EvaluationReport(evaluation(Activation.SOFTMAX, 1, 10)).json());
        assertThat(json.at("/clips").asInt()).isEqualTo(6);
        assertThat(json.at("/plain/accuracy/value").asDouble()).isCloseTo(5.0 / 6, within(1e-12));
        assertThat(json.at("/plain/mAP/low").asDouble()).isLessThanOrEqualTo(json.at("/plain/mAP/high").asDouble());
        assertThat(json.at("/shifted/shifts").asInt()).isEqualTo(10);
        assertThat(json.at("/skipped/0/clip").asString()).isEqualTo("gone, alas");
        assertThat(json.at("/per_class/2/label").asString()).isEqualTo("high");
        assertThat(json.at("/per_class/2/clips").asInt()).isEqualTo(2);
        assertThat(json.at("/confusion").toString()).isEqualTo("[[2,0,0],[0,2,0],[1,0,1]]");
        assertThat(new EvaluationReport(evaluation(Activation.SIGMOID, 1, 1)).json()).doesNotContain("shifted");
    }

    @Test
    void noFileOfAnEarlierEvaluationStays() {
        new EvaluationReport(evaluation(Activation.SOFTMAX, 1, 1)).write(folder);
        new EvaluationReport(evaluation(Activation.SOFTMAX, 1, 1, Map.of())).write(folder);
        assertThat(folder.resolve("skipped.csv")).doesNotExist();
        assertThat(folder.resolve("confusion.csv")).exists();
    }

    @Test
    void files() throws IOException {
        new EvaluationReport(evaluation(Activation.SOFTMAX, 1, 1)).write(folder.resolve("deep/out"));
        Path out = folder.resolve("deep/out");
        assertThat(Files.readAllLines(out.resolve("classes.csv"))).hasSize(4).startsWith("label,clips,AP,AUC")
                .anyMatch(line -> line.startsWith("\"middle, more or less\",2,1.0,1.0"));
        assertThat(Files.readAllLines(out.resolve("confusion.csv"))).last().isEqualTo("high,1,0,1");
        assertThat(Files.readAllLines(out.resolve("scores.csv"))).hasSize(7)
                .startsWith("clip,low,\"middle, more or less\",high").element(1).asString().startsWith("low-1-0,0.78");
        assertThat(Files.readAllLines(out.resolve("skipped.csv"))).containsExactly("clip,reason",
                "\"gone, alas\",gone: is damaged.");
        try (var files = Files.list(out)) {
            assertThat(files).hasSize(5);
        }
    }
}

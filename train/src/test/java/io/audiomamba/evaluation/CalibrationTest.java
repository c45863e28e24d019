package io.audiomamba.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.checkpoint.Description.Activation;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CalibrationTest {

    private static final int CLIPS = 20_000;
    private static final int CLASSES = 4;

    /** Clips whose labels are drawn from the probabilities of their logits, which are then multiplied. */
    private static Predictions predictions(Activation activation, double overconfidence) {
        Random random = new Random(5);
        float[][] logits = new float[CLIPS][CLASSES];
        boolean[][] targets = new boolean[CLIPS][CLASSES];
        for (int i = 0; i < CLIPS; i++) {
            for (int c = 0; c < CLASSES; c++) {
                logits[i][c] = (float) random.nextGaussian(0, 2);
            }
            float[] honest = new Predictions(List.of("clip"), new float[][] {logits[i]}, new boolean[1][CLASSES])
                    .logProbabilities(activation, 1)[0];
            double left = random.nextDouble();
            for (int c = 0; c < CLASSES; c++) {
                double p = Math.exp(honest[c]);
                targets[i][c] = activation == Activation.SOFTMAX ? left >= 0 && left < p : random.nextDouble() < p;
                left -= p;
                logits[i][c] *= (float) overconfidence;
            }
        }
        return new Predictions(Collections.nCopies(CLIPS, "clip"), logits, targets);
    }

    @Test
    void anHonestModelIsCalibrated() {
        assertThat(Calibration.error(predictions(Activation.SOFTMAX, 1), Activation.SOFTMAX, 1)).isLessThan(0.01);
    }

    @ParameterizedTest
    @CsvSource({"SOFTMAX,0.1", "SIGMOID,0.08"})
    void theTemperatureUndoesOverconfidence(Activation activation, double uncalibrated) {
        Predictions overconfident = predictions(activation, 3);
        double temperature = Calibration.temperature(overconfident, activation);
        assertThat(temperature).isCloseTo(3, within(0.1));
        assertThat(Calibration.error(overconfident, activation, 1)).isGreaterThan(uncalibrated);
        assertThat(Calibration.error(overconfident, activation, temperature)).isLessThan(0.01);
    }

    @Test
    void everyDecisionOfASigmoidCounts() {
        Predictions honest = predictions(Activation.SIGMOID, 1);
        Predictions overconfident = predictions(Activation.SIGMOID, 3);
        assertThat(Calibration.error(honest.logProbabilities(Activation.SIGMOID, 1), honest.targets(),
                Activation.SIGMOID)).isLessThan(0.01);
        assertThat(Calibration.error(overconfident.logProbabilities(Activation.SIGMOID, 1), overconfident.targets(),
                Activation.SIGMOID)).isGreaterThan(0.08);
    }

    @Test
    void aWrongAndCertainModelHasTheLargestError() {
        Predictions wrong = new Predictions(Collections.nCopies(2, "clip"), new float[][] {{100, 0}, {100, 0}},
                new boolean[][] {{false, true}, {false, true}});
        assertThat(Calibration.error(wrong, Activation.SOFTMAX, 1)).isCloseTo(1, within(1e-12));
        assertThat(Calibration.negativeLogLikelihood(wrong, Activation.SOFTMAX, 1)).isCloseTo(100, within(1e-9));
        assertThat(Calibration.temperature(wrong, Activation.SOFTMAX)).isCloseTo(20, within(1e-3));
        assertThat(Calibration.negativeLogLikelihood(wrong, Activation.SIGMOID, 1)).as("and of a silent class")
                .isCloseTo(100 + Math.log(2), within(1e-6));
    }

    @Test
    void certaintyDoesNotMakeTies() {
        float[][] logits = {{50, 0, -50}, {60, 0, -60}};
        Predictions certain = new Predictions(Collections.nCopies(2, "clip"), logits, new boolean[2][3]);
        for (Activation activation : Activation.values()) {
            float[][] rows = certain.logProbabilities(activation, 1);
            assertThat(rows[1][0]).isGreaterThan(rows[0][0]);
            assertThat(rows[1][2]).isLessThan(rows[0][2]);
        }
    }
}

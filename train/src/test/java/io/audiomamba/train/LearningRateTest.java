package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LearningRateTest {

    /** Linear over 10 epochs, then half a cosine from 1 to 0.01 over the other 90. */
    @ParameterizedTest
    @CsvSource({"0,0", "5,0.5", "10,1", "55,0.505", "100,0.01", "32.5,0.855017856687341"})
    void warmUpAndCosine(double epoch, double factor) {
        Recipe recipe = TinyTraining.recipe("train.epochs=100", "optimizer.lr=0.002", "schedule.warmup_epochs=10");
        assertThat(LearningRate.at(recipe, (int) epoch, epoch % 1)).isCloseTo(0.002 * factor, within(1e-12));
    }

    /** The authors' table: 0.05, 0.1, 0.2, then 1, halved at epochs 10, 20 and 30. */
    @ParameterizedTest
    @CsvSource({"0,0,0.05", "0,0.9,0.05", "0,1,0.05", "1,0,0.1", "2,0.5,0.2", "3,0,1", "9,1,1", "10,0,0.5", "20,0,0.25",
            "30,0,0.125", "99,1,0.125"})
    void table(int epoch, double part, double factor) {
        Recipe recipe = TinyTraining.recipe("train.epochs=100", "optimizer.lr=0.001", "schedule.kind=steps");
        assertThat(LearningRate.at(recipe, epoch, part)).isCloseTo(0.001 * factor, within(1e-15));
    }

    @Test
    void withoutWarmUpAndShorterThanIt() {
        assertThat(LearningRate.at(TinyTraining.recipe("schedule.warmup_epochs=0"), 0, 0)).isEqualTo(1e-3);
        Recipe brief = TinyTraining.recipe("train.epochs=2", "schedule.warmup_epochs=10");
        assertThat(LearningRate.at(brief, 0, 1)).isEqualTo(0.5e-3);
        assertThat(LearningRate.at(brief, 1, 1)).isEqualTo(1e-3);
    }
}

package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.torch.Tensors;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

class WeightAveragesTest {

    /** A weight that is 1, 2, 3, 4 after the epochs 1 to 4 of one step each; what the model is after each of them. */
    private static List<Float> during(String... settings) {
        List<Float> seen = new ArrayList<>();
        try (var _ = new PointerScope()) {
            Tensor values = Tensors.of(new float[1], 1);
            try (WeightAverages averages = new WeightAverages(TinyTraining.recipe(settings).train(), values)) {
                for (int epoch = 1; epoch <= 4; epoch++) {
                    values.fill_(new Scalar((double) epoch));
                    averages.afterStep(epoch);
                    averages.afterEpoch(epoch);
                    averages.during(() -> seen.add(values.item_float()));
                    assertThat(values.item_float()).as("restored").isEqualTo(epoch);
                }
            }
        }
        return seen;
    }

    @Test
    void none() {
        assertThat(during("train.ema=0.0", "train.epochs=4")).containsExactly(1f, 2f, 3f, 4f);
    }

    @Test
    void theMeanOfTheLastEpochs() {
        assertThat(during("train.ema=0.0", "train.epochs=4", "train.average_last=3")).containsExactly(1f, 2f, 2.5f,
                3f);
    }

    @Test
    void theMeanOfMoreEpochsThanThereAre() {
        assertThat(during("train.ema=0.0", "train.epochs=4", "train.average_last=10")).containsExactly(1f, 1.5f, 2f,
                2.5f);
    }

    /** Decays (1 + s) / (10 + s) of the first steps, which are below 0.9. */
    @Test
    void theMovingAverage() {
        List<Float> seen = during("train.ema=0.9", "train.epochs=4");
        double average = 0;
        for (int step = 1; step <= 4; step++) {
            double decay = (1.0 + step) / (10 + step);
            average = decay * average + (1 - decay) * step;
            assertThat((double) seen.get(step - 1)).isCloseTo(average, within(1e-6));
        }
        assertThat(during("train.ema=0.1", "train.epochs=4").getLast()).isCloseTo(3.889f, within(1e-3f));
    }

    @Test
    void theMeanOfMovingAverages() {
        List<Float> moving = during("train.ema=0.9", "train.epochs=4");
        List<Float> both = during("train.ema=0.9", "train.epochs=4", "train.average_last=2");
        assertThat(both.getLast()).isCloseTo((moving.get(2) + moving.get(3)) / 2, within(1e-6f));
    }
}

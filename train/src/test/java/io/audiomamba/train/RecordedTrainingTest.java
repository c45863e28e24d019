package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.audiomamba.data.Dataset;
import io.audiomamba.torch.DeviceStream;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.nio.file.Path;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training on a GPU, where in a stream of its own all steps but the first are recorded ones. */
class RecordedTrainingTest {

    private static final int EPOCHS = 8;

    @TempDir
    private Path folder;

    private Device gpu;

    @BeforeEach
    void findGpu() {
        gpu = Devices.named("auto");
        assumeTrue(gpu.is_cuda(), "no GPU here");
    }

    private double[] losses(String precision) {
        Dataset tones = TinyTraining.twoClasses(folder, 4);
        Recipe recipe = TinyTraining.recipe("train.epochs=" + EPOCHS, "train.precision=" + precision,
                "model.drop_path=0.2");
        double[] losses = new double[EPOCHS];
        try (Trainer trainer = new Trainer(recipe, tones, gpu)) {
            for (int i = 0; i < EPOCHS; i++) {
                losses[i] = trainer.epoch().loss();
            }
        }
        return losses;
    }

    private double[] recordedLosses(String precision) {
        try (var _ = new DeviceStream(gpu)) {
            return losses(precision);
        }
    }

    @Test
    void theRecordedStepsAreTheSame() {
        double[] eager = losses("float32");
        assertThat(recordedLosses("float32")).containsExactly(eager, within(2e-3));
        assertThat(eager[EPOCHS - 1]).isNotCloseTo(eager[0], within(2e-3));
    }

    @Test
    void theRecordedStepsAreTheSameInMixedPrecision() {
        assertThat(recordedLosses("bfloat16")).containsExactly(losses("bfloat16"), within(3e-2));
    }

    /** A recording takes longer than the step that it is made for. Here an epoch is one step. */
    @Test
    void whereMemoryStaysShortNothingIsRecordedAnyMore() {
        Dataset tones = TinyTraining.twoClasses(folder, 4);
        Recipe recipe = TinyTraining.recipe("train.epochs=100", "train.batch_size=8");
        try (var _ = new DeviceStream(gpu); Trainer trainer = new Trainer(recipe, tones, gpu)) {
            for (int step = 0; step < 4; step++) {
                trainer.epoch();
            }
            repeatAStep(trainer);
            runOutOfMemory(trainer);
            trainer.epoch();
            repeatAStep(trainer);
            for (int step = 0; step < 10; step++) {
                runOutOfMemory(trainer);
                trainer.epoch();
            }
            assertThatThrownBy(() -> repeatAStep(trainer)).hasMessageContaining("does not require grad");
        }
    }

    /** What is repeated needs no graph. */
    private static void repeatAStep(Trainer trainer) {
        try (var _ = new NoGradGuard()) {
            trainer.epoch();
        }
    }

    private static void runOutOfMemory(Trainer trainer) {
        assertThatThrownBy(() -> Tensors.emptyBeside(trainer.gradients(), ScalarType.Float, 1L << 48));
    }
}

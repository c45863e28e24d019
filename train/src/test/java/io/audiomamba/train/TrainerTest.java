package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.frontend.KaldiFbank;
import io.audiomamba.frontend.LogMel;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainerTest {

    @TempDir
    private static Path folder;

    private static Dataset tones;

    @BeforeAll
    static void sounds() {
        tones = TinyTraining.twoClasses(folder.resolve("tones"), 2);
    }

    private static Trainer trainer(String... settings) {
        return new Trainer(TinyTraining.recipe(settings), tones, Devices.cpu());
    }

    /** As {@link BatchesTest#aShortClipFillsTheWindow} wants it. */
    @Test
    void aModelHearsShortClipsAsItIsTrained() {
        for (String[] preset : new String[][] {{"nano_s1_chunky", LogMel.NAME}, {"dass_small", KaldiFbank.REPEATING}}) {
            try (Trainer trainer = trainer("model.preset=" + preset[0])) {
                assertThat(trainer.description().frontEnd()).isEqualTo(preset[1]);
            }
        }
    }

    private static float[] values(Trainer trainer) {
        return Tensors.toFloats(trainer.state().get("values"));
    }

    @Test
    void equalSeedsGiveEqualModelsToTheBit() {
        try (Trainer one = trainer();
                Trainer same = trainer("train.workers=1");
                Trainer other = trainer(
                        "train.seed=8")) {
            Trainer.Epoch first = one.epoch();
            assertThat(first.number()).isEqualTo(1);
            assertThat(first.clips()).isEqualTo(4);
            assertThat(same.epoch().loss()).isEqualTo(first.loss());
            assertThat(other.epoch().loss()).isNotEqualTo(first.loss());
            assertThat(values(same)).containsExactly(values(one));
        }
    }

    @ParameterizedTest
    @CsvSource({"loss.kind=binary-cross-entropy", "augment.mixup_kind=waveforms", "augment.mixup_kind=authors",
            "sampling=balanced", "sampling=weighted", "optimizer.layer_decay=0.7", "optimizer.frozen=[patch_embed]",
            "train.average_last=1", "model.head=linear", "'model.attention_after=[1, 2]'", "train.batch_size=100"})
    void everySettingTrains(String setting) {
        try (Trainer trainer = trainer(setting, "augment.cutmix_alpha=1.0", "augment.cutmix_probability=0.5")) {
            float[] before = values(trainer);
            assertThat(trainer.epoch().loss()).isPositive().isFinite();
            assertThat(values(trainer)).isNotEqualTo(before);
            assertThat(trainer.finishedEpochs()).isEqualTo(1);
        }
    }

    /** Low and high tones are easily told apart. */
    @Test
    void learns() {
        try (Trainer trainer = trainer("train.epochs=8", "train.ema=0.0", "augment.mixup_alpha=0.0",
                "loss.label_smoothing=0.0", "model.drop_path=0.0", "train.batch_size=4", "optimizer.lr=3e-3")) {
            double first = trainer.epoch().loss();
            double last = first;
            while (trainer.finishedEpochs() < 8) {
                last = trainer.epoch().loss();
            }
            assertThat(last).isLessThan(0.5 * first);
        }
    }

    /** Of four equal sounds, two batches of two that are accumulated are one of four; the batch norm sees no difference. */
    @Test
    void accumulatedBatchesAreOneLargeBatch() {
        for (int i = 0; i < 2; i++) {
            TinyTraining.tone(folder.resolve("same").resolve("a").resolve(i + ".wav"), 500);
            TinyTraining.tone(folder.resolve("same").resolve("b").resolve(i + ".wav"), 500);
        }
        Dataset same = Dataset.read(folder.resolve("same"));
        String[] plain = {"augment.mixup_alpha=0.0", "augment.roll=false", "augment.time_masks=0",
                "augment.frequency_masks=0", "model.drop_path=0.0", "optimizer.clip_norm=0.0", "train.batch_size=4",
                "optimizer.accumulate=1"};
        String[] accumulated = plain.clone();
        accumulated[6] = "train.batch_size=2";
        accumulated[7] = "optimizer.accumulate=2";
        try (Trainer large = new Trainer(TinyTraining.recipe(plain), same, Devices.cpu());
                Trainer small = new Trainer(TinyTraining.recipe(accumulated), same, Devices.cpu())) {
            float[] before = values(large);
            double loss = large.epoch().loss();
            assertThat(small.epoch().loss()).isCloseTo(loss, within(1e-5));
            assertThat(small.position().steps()).isEqualTo(1);
            // Adam's first step is lr times the gradient's sign: what is compared is the mean of the gradients.
            assertThat(meanGradient(small)).containsExactly(meanGradient(large), within(2e-6f));
            assertThat(values(large)).isNotEqualTo(before);
        }
    }

    private static float[] meanGradient(Trainer trainer) {
        return Tensors.toFloats(trainer.state().get("mean"));
    }

    @Test
    void theWeightsThatWentBadAreNamed() {
        try (Trainer trainer = trainer(); var _ = new PointerScope()) {
            try (var _ = new NoGradGuard()) {
                trainer.state().get("values").narrow(0, 10, 1).fill_(new Scalar(Double.NaN));
            }
            assertThatThrownBy(trainer::epoch).isInstanceOf(ConfigurationException.class)
                    .hasMessageContaining("epoch 1 at batch 1").hasMessageContaining("loss is NaN")
                    .hasMessageContaining("the weights ");
        }
    }

    /** A learning rate so high that activations overflow while the weights are still finite. */
    @Test
    void theActivationThatWentBadIsNamed() {
        try (Trainer trainer = trainer("optimizer.lr=1e30", "optimizer.weight_decay=0.0")) {
            assertThatThrownBy(() -> {
                trainer.epoch();
                trainer.epoch();
            }).isInstanceOf(ConfigurationException.class).hasMessageContaining("the activation ")
                    .hasMessageContaining("a smaller optimizer.lr may help").message().hasLineCount(1);
        }
    }

    @Test
    void theGradientThatWentBadIsNamed() {
        try (Trainer trainer = trainer("optimizer.accumulate=2"); var _ = new PointerScope()) {
            Tensor gradients = trainer.gradients();
            gradients.narrow(0, gradients.numel() - 1, 1).fill_(new Scalar(Double.POSITIVE_INFINITY));
            float[] before = values(trainer);
            assertThatThrownBy(trainer::epoch).hasMessageContaining("norm of the gradients is Infinity")
                    .hasMessageContaining("the gradient of ");
            assertThat(values(trainer)).as("not changed by the bad step").containsExactly(before);
        }
    }

    @Test
    void withoutAListenerACorruptClipIsAnError() throws IOException {
        Path bad = folder.resolve("bad");
        TinyTraining.twoClasses(bad, 2);
        Files.writeString(bad.resolve("low").resolve("0.wav"), "not a sound");
        try (Trainer trainer = new Trainer(TinyTraining.recipe(), Dataset.read(bad), Devices.cpu())) {
            assertThatThrownBy(trainer::epoch).isInstanceOf(AudioException.class).hasMessageContaining("0.wav");
        }
    }

    /** Of all that can go wrong with held-out clips only scores that are not finite are a divergence. */
    @Test
    void clipsThatCannotBeHadAreNoDivergence() {
        Dataset gone = new Dataset("gone", tones.labels(), tones.clips(), List.of(), new Dataset.Sounds() {
            @Override
            public float[] read(Clip clip, int sampleRate) {
                throw new CheckpointException("The shard is gone.");
            }

            @Override
            public int storedRate(Clip clip) {
                return 8000;
            }
        });
        try (Trainer trainer = trainer()) {
            assertThatThrownBy(() -> trainer.predict(gone, 1, () -> false)).hasMessage("The shard is gone.");
        }
    }

    @Test
    void frozenTensorsStayAndOthersMove() {
        try (Trainer trainer = trainer("optimizer.frozen=[layers, patch_embed]", "train.epochs=1")) {
            float[] before = values(trainer);
            trainer.epoch();
            float[] after = values(trainer);
            long moved = java.util.stream.IntStream.range(0, before.length).filter(i -> before[i] != after[i]).count();
            assertThat(moved).isPositive().isLessThan(before.length / 2);
            assertThat(Arrays.equals(before, after)).isFalse();
        }
    }

    @Test
    void settingsThatTheModelCannotHave() {
        assertThatThrownBy(() -> trainer("model.preset=huge")).hasMessageContaining("no model variant 'huge'");
        assertThatThrownBy(() -> trainer("model.drop_path=1.0")).hasMessageContaining("drop_path");
        assertThatThrownBy(() -> trainer("optimizer.frozen=[encoder]")).hasMessageContaining("'encoder'");
    }
}

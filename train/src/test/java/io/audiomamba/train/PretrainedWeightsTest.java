package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Variants;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PretrainedWeightsTest {

    private static final List<String> CLASSES = List.of("high", "low");
    private static final ModelConfig AUDIO = Variants.named("nano_s1_chunky").forAudio(InputKind.FOLDED_LOG_MEL, 2,
            HeadKind.TOKEN_SEMANTIC);

    @TempDir
    private Path folder;

    private Path written(ModelConfig config, List<String> labels, long seed) {
        Path file = folder.resolve("start.safetensors");
        try (var _ = new PointerScope(); Parameters parameters = new Parameters(Parameters.Source.random(seed))) {
            new AudioMamba(config, parameters);
            Checkpoint.write(file, new Description(config, Description.frontEndOf(config.input()), labels,
                    Activation.SIGMOID, 1, Map.of("variant", "nano_s1_chunky")), parameters.tensors(), DType.F32);
        }
        return file;
    }

    private static List<String> numbers(int count) {
        return IntStream.range(0, count).mapToObj(i -> "class " + i).toList();
    }

    private static Map<String, float[]> values(ModelConfig config, Parameters.Source source) {
        Map<String, float[]> values = new HashMap<>();
        try (var _ = new PointerScope(); Parameters parameters = new Parameters(source)) {
            new AudioMamba(config, parameters);
            parameters.tensors().forEach((name, tensor) -> values.put(name, Tensors.toFloats(tensor)));
        }
        return values;
    }

    @Test
    void aModelOfImagesLendsItsBackbone() {
        ModelConfig images = Variants.named("nano_s1_chunky");
        Path file = written(images, numbers(1000), 1);
        Map<String, float[]> lent = values(images, Parameters.Source.random(1));
        try (PretrainedWeights weights = PretrainedWeights.of(file.toString(), CLASSES)) {
            Map<String, float[]> model = values(AUDIO, weights.source(AUDIO, Parameters.Source.random(2)));
            assertThat(model.get("layers.1.blocks.1.op.x_proj_weight"))
                    .isEqualTo(lent.get("layers.1.blocks.1.op.x_proj_weight"));
            assertThat(model.get("norm.weight")).isEqualTo(lent.get("classifier.norm.weight"));
            float[] colours = lent.get("patch_embed.0.weight"); // (12, 3, 3, 3)
            float[] grey = model.get("patch_embed.0.weight");
            for (int i = 0; i < grey.length; i++) {
                int first = i / 9 * 27 + i % 9;
                assertThat(grey[i]).isEqualTo(colours[first] + colours[first + 9] + colours[first + 18]);
            }
            assertThat(model.get("tscam_conv.weight"))
                    .isEqualTo(values(AUDIO, fresh(AUDIO)).get("tscam_conv.weight"));
            assertThat(weights.report()).hasSize(3);
            assertThat(weights.report().get(0)).contains("loaded from " + file, "summed over its colours");
            assertThat(weights.report().get(1)).contains("begin at random: bn0, head, tscam_conv.");
            assertThat(weights.report().get(2)).contains("2 tensors of the checkpoint are not used: classifier.head.");
            assertThat(weights.provenance()).contains("tscam_conv");
        }
    }

    private String fingerprint(String name, long seed) throws IOException {
        Path file = Files.move(written(AUDIO, CLASSES, seed), folder.resolve(name));
        try (PretrainedWeights weights = PretrainedWeights.of(file.toString(), CLASSES)) {
            return weights.fingerprint();
        }
    }

    @Test
    void equalWeightsByAnotherNameAreTheSame() throws IOException {
        assertThat(fingerprint("a.safetensors", 1)).isEqualTo(fingerprint("b.safetensors", 1))
                .isNotEqualTo(fingerprint("c.safetensors", 2));
    }

    /** What random weights are for the tensors that a checkpoint of images cannot give, in the order of declaration. */
    private static Parameters.Source fresh(ModelConfig config) {
        Parameters.Source random = Parameters.Source.random(2);
        Parameters.Source zero = Parameters.Source.random(3);
        return declaration -> declaration.name().startsWith("layers.") || declaration.name().startsWith("patch_embed.")
                || declaration.name().startsWith("norm.") ? zero.tensor(declaration) : random.tensor(declaration);
    }

    @Test
    void theHeadIsTakenOverForTheSameClassesOnly() {
        Path file = written(AUDIO, CLASSES, 1);
        Map<String, float[]> lent = values(AUDIO, Parameters.Source.random(1));
        try (PretrainedWeights weights = PretrainedWeights.of(file.toString(), CLASSES)) {
            Map<String, float[]> model = values(AUDIO, weights.source(AUDIO, Parameters.Source.random(2)));
            assertThat(model.keySet()).isEqualTo(lent.keySet());
            model.forEach((name, values) -> assertThat(values).as(name).isEqualTo(lent.get(name)));
            assertThat(weights.report()).hasSize(1);
        }
        try (PretrainedWeights weights = PretrainedWeights.of(file.toString(), List.of("dog", "cat"))) {
            values(AUDIO, weights.source(AUDIO, Parameters.Source.random(2)));
            assertThat(weights.report().get(1)).contains("random: head, tscam_conv.");
        }
    }

    @Test
    void nothingThatFits() {
        Path file = written(AUDIO, CLASSES, 1);
        ModelConfig other = Variants.named("nano_v0").forAudio(InputKind.FOLDED_LOG_MEL, 2, HeadKind.TOKEN_SEMANTIC);
        try (PretrainedWeights weights = PretrainedWeights.of(file.toString(), CLASSES)) {
            values(other, weights.source(other, Parameters.Source.random(2)));
            assertThatThrownBy(weights::provenance).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("nothing of it fits").hasMessageContaining("nano_s1_chunky");
        }
        assertThatThrownBy(() -> PretrainedWeights.of("nowhere.pth", CLASSES)).isInstanceOf(CheckpointException.class);
    }

    @Test
    void aTrainingBeginsWithThem() {
        Dataset tones = TinyTraining.twoClasses(folder.resolve("tones"), 2);
        Path file = written(Variants.named("nano_s1_chunky"), numbers(1000), 1);
        Path out = folder.resolve("run");
        List<String> told = new ArrayList<>();
        TrainingListener listener = new TrainingListener() {
            @Override
            public void step(Step step) {
                assertThat(told).isNotEmpty();
            }

            @Override
            public void epoch(Trainer.Epoch epoch, io.audiomamba.evaluation.Metrics metrics) {
                assertThat(epoch.loss()).isFinite();
            }

            @Override
            public void warning(String sentence) {
                told.add(sentence);
            }

            @Override
            public void unreadable(String reason) {
                throw new AssertionError(reason);
            }
        };
        try (PretrainedWeights weights = PretrainedWeights.of(file.toString(), tones.labels())) {
            new TrainingRun(out, TinyTraining.recipe("train.epochs=1", "optimizer.layer_decay=0.7"), tones, null).run(
                    new TrainingRun.Setting(Devices.cpu(), weights, null, DType.F32), false, listener);
        }
        assertThat(told.getFirst()).contains("loaded from " + file);
        try (Checkpoint checkpoint = Checkpoint.open(out.resolve("last.safetensors"))) {
            assertThat(checkpoint.description().provenance().get("weights")).contains("loaded from " + file,
                    "tscam_conv");
        }
    }
}

package io.audiomamba.exchange;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.checkpoint.KeyNames;
import io.audiomamba.checkpoint.Naming;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.Safetensors;
import io.audiomamba.checkpoint.StoredWeights;
import io.audiomamba.checkpoint.TensorFile;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.labels.AudioSet;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import io.audiomamba.model.Variants;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Other people's checkpoints in, and out again. */
class ExchangeTest {

    private static final Path GOLDEN = Path.of("src", "test", "resources", "golden");

    @TempDir
    private Path folder;

    private Path imported(Path file) {
        Path out = folder.resolve("imported.safetensors");
        try (ForeignCheckpoint foreign = ForeignCheckpoint.open(file)) {
            foreign.write(out, foreign.description());
        }
        return out;
    }

    /** Random weights as safetensors without a word on what they are. */
    private Path anonymous(ModelConfig config) {
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        try (Parameters parameters = new Parameters(Parameters.Source.random(5))) {
            new AudioMamba(config, parameters);
            parameters.tensors().forEach(
                    (name, tensor) -> tensors.put(name, RawTensor.of(Tensors.toFloats(tensor), Tensors.shape(tensor))));
        }
        Path file = folder.resolve("anonymous.safetensors");
        Safetensors.write(file, tensors, Map.of());
        return file;
    }

    private static float[] logits(AudioMamba model, long... inputShape) {
        float[] values = new float[(int) java.util.Arrays.stream(inputShape).reduce(1, (a, b) -> a * b)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(i * 0.7);
        }
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            Pass pass = new Pass(ScanKernels.best(Devices.cpu()), false);
            return Tensors.toFloats(model.forward(Tensors.of(values, inputShape), pass).clip());
        }
    }

    @Test
    void anImportedFileGivesTheSameLogitsToTheLastBit() {
        Path source = GOLDEN.resolve("dass_nano_check.pth");
        float[] direct;
        try (TensorFile file = TensorFile.open(source)) {
            StoredWeights weights = new StoredWeights("direct", KeyNames.official(file.tensors()));
            try (Parameters parameters = new Parameters(weights)) {
                ModelConfig config = Variants.named("nano_s1").forAudio(InputKind.FILTER_BANK, 527, HeadKind.LINEAR);
                direct = logits(new AudioMamba(config, parameters), 1, 96, 64);
            }
        }
        try (Checkpoint checkpoint = Checkpoint.open(imported(source))) {
            Checkpoint.Loaded loaded = checkpoint.load();
            try (Parameters _ = loaded.parameters()) {
                assertThat(logits(loaded.model(), 1, 96, 64)).isEqualTo(direct);
            }
            Description description = checkpoint.description();
            assertThat(description.labels()).isEqualTo(AudioSet.names());
            assertThat(description.frontEnd()).isEqualTo("kaldi-fbank");
            assertThat(description.activation()).isEqualTo(Activation.SIGMOID);
            assertThat(description.provenance()).containsEntry("source", "dass_nano_check.pth").containsEntry(
                    "source SHA-256", "1624edefa2ab3dfb7750eee63a94141b4a471db572246de078ea7b1a5c802dbd");
        }
    }

    static List<String> variants() {
        return Variants.names();
    }

    /** Base sizes differ from small ones in their width only, which the others cover. */
    @ParameterizedTest
    @MethodSource("variants")
    void everyVariantIsRecognised(String name) {
        ModelConfig config = Variants.named(name);
        if (config.dims().getFirst() > 96) {
            return;
        }
        Map<String, RawTensor> shapes = new LinkedHashMap<>();
        Parameters.Source shapesOnly = Parameters.Source.shapesOnly();
        try (Parameters parameters = new Parameters(declaration -> {
            shapes.put(declaration.name(),
                    RawTensor.of(new float[(int) declaration.size()], declaration.shape()));
            return shapesOnly.tensor(declaration);
        })) {
            new AudioMamba(config, parameters);
        }
        ModelConfig found = Architecture.of("test", shapes);
        String twin = name.equals("nano_s1_ln") ? "nano_s1" : name; // the same mathematics
        assertThat(found).isEqualTo(Variants.named(twin));
        assertThat(Variants.nameOf(found)).contains(twin);
    }

    @Test
    void anArchitectureThatNobodyPublished() {
        ModelConfig config = new ModelConfig(InputKind.IMAGE, 3, 7, List.of(8, 24), List.of(1, 3), 2, 1.5,
                new ModelConfig.ScanForm("v2"), true, 3, ModelConfig.PatchEmbedding.V1, ModelConfig.Downsampling.V2,
                ModelConfig.Normalization.LN, HeadKind.LINEAR, 0, 0, 0);
        try (ForeignCheckpoint foreign = ForeignCheckpoint.open(anonymous(config))) {
            assertThat(foreign.description().model()).isEqualTo(config);
            assertThat(foreign.description().labels()).startsWith("class 0").hasSize(7);
            assertThat(foreign.description().provenance()).doesNotContainKey("variant");
        }
    }

    @ParameterizedTest
    @CsvSource({"PTH, VMAMBA, F32", "PTH, DASS, F32", "PTH, HUGGING_FACE, F32", "SAFETENSORS, VMAMBA, F32",
            "SAFETENSORS, DASS, F32", "SAFETENSORS, HUGGING_FACE, F32", "PTH, HUGGING_FACE, F16", "PTH, VMAMBA, F16",
            "SAFETENSORS, DASS, F16"})
    void whatIsExportedIsImportedBitForBit(Export.Format format, Naming naming, DType type) throws IOException {
        Path original = imported(GOLDEN.resolve("dass_nano_check.pth"));
        Path exported = folder.resolve("exported.file");
        try (Checkpoint checkpoint = Checkpoint.open(original)) {
            Export.write(checkpoint, exported, format, naming, type);
        }
        byte[] expected = Files.readAllBytes(original);
        byte[] again = Files.readAllBytes(imported(exported));
        if (type == DType.F32) {
            assertThat(again).isEqualTo(expected);
            return;
        }
        // In half precision a second round trip changes nothing any more.
        try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("imported.safetensors"))) {
            assertThat(checkpoint.tensors().values()).allMatch(tensor -> tensor.type() == DType.F16);
            Export.write(checkpoint, exported, format, naming, type);
        }
        assertThat(Files.readAllBytes(imported(exported))).isEqualTo(again);
    }

    /** Batch normalisation counts in whole numbers; token-semantic heads have names in VMamba's style only. */
    @ParameterizedTest
    @EnumSource(Export.Format.class)
    void otherKindsOfModels(Export.Format format) throws IOException {
        for (ModelConfig config : List.of(Variants.named("nano_bn"), Variants.named("nano_v0"),
                Variants.named("nano_s1").forAudio(InputKind.FOLDED_LOG_MEL, 50, HeadKind.TOKEN_SEMANTIC),
                Variants.named("nano_s1").forAudio(InputKind.LOG_MEL, 50, HeadKind.LINEAR))) {
            Path original = Files.move(imported(anonymous(config)), folder.resolve("original.safetensors"),
                    java.nio.file.StandardCopyOption.REPLACE_EXISTING);
            Path exported = folder.resolve("exported.file");
            try (Checkpoint checkpoint = Checkpoint.open(original)) {
                assertThat(checkpoint.description().model().input()).isEqualTo(config.input());
                Export.write(checkpoint, exported, format, Naming.VMAMBA, DType.F32);
                assertThatThrownBy(() -> Export.write(checkpoint, exported, format, Naming.DASS, DType.F32))
                        .isInstanceOf(ConfigurationException.class).hasMessageContaining("vmamba");
            }
            try (TensorFile file = TensorFile.open(exported)) {
                assertThat(file.tensors().entrySet())
                        .allMatch(
                                e -> e.getKey().endsWith("num_batches_tracked") == (e.getValue().type() == DType.I64));
            }
            assertThat(Files.readAllBytes(imported(exported))).isEqualTo(Files.readAllBytes(original));
        }
    }

    @Test
    void whatDoesNotFitTheModel() {
        Path original = imported(anonymous(Variants.named("nano_s1")));
        try (Checkpoint checkpoint = Checkpoint.open(original)) {
            Map<String, RawTensor> tensors = new LinkedHashMap<>(checkpoint.tensors());
            tensors.remove("classifier.norm.bias");
            Safetensors.write(folder.resolve("less.safetensors"), tensors, checkpoint.description().toMetadata());
        }
        try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("less.safetensors"))) {
            assertThatThrownBy(() -> Export.write(checkpoint, folder.resolve("x.pth"), Export.Format.PTH, Naming.VMAMBA,
                    DType.F32)).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("does not fit the model: 1 tensor");
        }
        assertThat(folder.resolve("x.pth")).doesNotExist();
    }

    @Test
    void whatDoesNotFitHalfPrecision() {
        ModelConfig config = Variants.named("nano_s1");
        Path original = imported(anonymous(config));
        try (Checkpoint checkpoint = Checkpoint.open(original)) {
            Map<String, RawTensor> tensors = new LinkedHashMap<>(checkpoint.tensors());
            tensors.put("classifier.norm.bias", RawTensor.of(new float[128], 128));
            float[] large = new float[128];
            large[3] = 70_000;
            tensors.put("classifier.norm.weight", RawTensor.of(large, 128));
            Safetensors.write(folder.resolve("large.safetensors"), tensors, checkpoint.description().toMetadata());
        }
        try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("large.safetensors"))) {
            assertThatThrownBy(() -> Export.write(checkpoint, folder.resolve("x.pth"), Export.Format.PTH, Naming.VMAMBA,
                    DType.F16)).isInstanceOf(CheckpointException.class)
                    .hasMessageStartingWith(
                            folder.resolve("large.safetensors") + ": classifier.norm.weight holds 70000.0");
        }
        assertThat(folder.resolve("x.pth")).doesNotExist();
    }

    @Test
    void shardedSafetensors() throws IOException {
        Map<String, RawTensor> first = new LinkedHashMap<>();
        Map<String, RawTensor> second = new LinkedHashMap<>();
        StringBuilder index = new StringBuilder("{\"metadata\": {\"total_size\": 1}, \"weight_map\": {");
        try (TensorFile whole = TensorFile.open(anonymous(Variants.named("nano_s1")))) {
            whole.tensors().forEach((name, tensor) -> {
                boolean isFirst = first.size() <= second.size();
                (isFirst ? first : second).put(name, tensor);
                index.append(first.size() + second.size() == 1 ? "" : ",")
                        .append("\"%s\": \"model-0000%d-of-00002.safetensors\""
                                .formatted(name, isFirst ? 1 : 2));
            });
            Safetensors.write(folder.resolve("model-00001-of-00002.safetensors"), first, Map.of());
            Safetensors.write(folder.resolve("model-00002-of-00002.safetensors"), second, Map.of());
        }
        Path file = Files.writeString(folder.resolve("model.safetensors.index.json"), index + "}}");
        try (ForeignCheckpoint foreign = ForeignCheckpoint.open(file);
                TensorFile whole = TensorFile.open(folder.resolve("anonymous.safetensors"))) {
            assertThat(foreign.tensors().keySet()).containsExactlyElementsOf(whole.tensors().keySet());
            assertThat(foreign.tensors().entrySet())
                    .allMatch(e -> e.getValue().data().mismatch(whole.tensors().get(e.getKey()).data()) == -1);
            assertThat(foreign.description().provenance().get("source").split(", ")).hasSize(3);
        }
    }

    @Test
    void whatIsNoVmamba() {
        Path file = folder.resolve("other.safetensors");
        Safetensors.write(file, Map.of("bert.embeddings", RawTensor.of(new float[1], 1)), Map.of());
        assertThatThrownBy(() -> ForeignCheckpoint.open(file)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(file + ": holds no VMamba").hasMessageContaining("begins with bert.embeddings");
    }

    /** Every way to damage one tensor of a good file ends in one sentence. */
    @Test
    void tensorsOfStrangeShapes() {
        Path good = anonymous(Variants.named("nano_s1"));
        List<RawTensor> strange = List.of(RawTensor.of(new float[0], 0), RawTensor.of(new float[1]),
                RawTensor.of(new float[0], 0, 1L << 40, 3, 3), RawTensor.of(new float[0], Integer.MAX_VALUE, 0),
                RawTensor.of(new float[0], 1L << 40, 0), RawTensor.of(new float[5], 5));
        Path bad = folder.resolve("bad.safetensors");
        try (TensorFile file = TensorFile.open(good)) {
            for (String name : List.of("patch_embed.0.weight", "layers.0.blocks.0.norm.weight",
                    "layers.0.blocks.0.op.A_logs", "layers.0.blocks.0.op.in_proj.weight",
                    "layers.0.blocks.0.mlp.fc1.weight", "classifier.head.weight", "layers.0.downsample.1.weight",
                    "layers.3.blocks.0.op.x_proj_weight")) {
                for (RawTensor tensor : strange) {
                    Map<String, RawTensor> tensors = new LinkedHashMap<>(file.tensors());
                    tensors.put(name, tensor);
                    Safetensors.write(bad, tensors, Map.of());
                    assertThatThrownBy(() -> ForeignCheckpoint.open(bad)).as(name + " " + tensor.shape())
                            .isInstanceOf(CheckpointException.class).hasMessageStartingWith(bad + ": ");
                }
            }
        }
    }

    @Test
    void labelsMustBeAsManyAsClasses() {
        try (ForeignCheckpoint foreign = ForeignCheckpoint.open(GOLDEN.resolve("dass_nano_check.pth"))) {
            List<String> names = IntStream.range(0, 527).mapToObj(i -> "sound " + i).toList();
            assertThat(foreign.describedBy(names, "names.txt").labels()).isEqualTo(names);
            assertThatThrownBy(() -> foreign.describedBy(List.of("a", "b"), "two.txt"))
                    .isInstanceOf(ConfigurationException.class)
                    .hasMessage("two.txt: names 2 classes, but the model has 527.");
        }
    }
}

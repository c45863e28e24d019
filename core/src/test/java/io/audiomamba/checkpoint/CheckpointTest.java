package io.audiomamba.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.ModelConfigJson;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Variants;
import io.audiomamba.torch.Tensors;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class CheckpointTest {

    private static final List<String> LABELS = List.of("dog", "Regen, stark", "\"cat\"");
    private static final ModelConfig CONFIG = Variants.named("nano_v0").forAudio(InputKind.FOLDED_LOG_MEL, 3,
            HeadKind.TOKEN_SEMANTIC);
    private static final Description DESCRIPTION = new Description(CONFIG, "htsat-logmel", LABELS, Activation.SOFTMAX,
            1.5, Map.of("recipe", "none"));

    @TempDir
    private Path folder;

    private Path written(Description description, DType type, Map<String, Tensor> changes) {
        Path path = folder.resolve("model.safetensors");
        try (Parameters parameters = new Parameters(Parameters.Source.random(1))) {
            new AudioMamba(CONFIG, parameters);
            Map<String, Tensor> tensors = new LinkedHashMap<>(parameters.tensors());
            changes.forEach((name, tensor) -> {
                if (tensor == null) {
                    tensors.remove(name);
                } else {
                    tensors.put(name, tensor);
                }
            });
            Checkpoint.write(path, description, tensors, type);
        }
        return path;
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F16"})
    void whatIsWrittenIsRead(DType type) {
        Path path = written(DESCRIPTION, type, Map.of());
        try (Checkpoint checkpoint = Checkpoint.open(path);
                Parameters original = new Parameters(Parameters.Source.random(1))) {
            assertThat(checkpoint.description()).isEqualTo(DESCRIPTION);
            new AudioMamba(CONFIG, original);
            try (Parameters loaded = checkpoint.load().parameters()) {
                assertThat(loaded.tensors().keySet()).isEqualTo(original.tensors().keySet());
                loaded.tensors().forEach((name, tensor) -> {
                    float[] expected = Tensors.toFloats(original.tensors().get(name));
                    float[] actual = Tensors.toFloats(tensor);
                    for (int i = 0; i < expected.length; i++) {
                        float stored = type == DType.F32
                                ? expected[i]
                                : Float.float16ToFloat(Float.floatToFloat16(expected[i]));
                        assertThat(actual[i]).isEqualTo(stored);
                    }
                });
            }
        }
    }

    @Test
    void whatDoesNotFitIsListedAtOnce() {
        Map<String, Tensor> changes = new LinkedHashMap<>();
        changes.put("norm.weight", null);
        changes.put("norm.bias", Tensors.of(new float[5], 5));
        changes.put("surplus", Tensors.of(new float[1], 1));
        Path path = written(DESCRIPTION, DType.F32, changes);
        try (Checkpoint checkpoint = Checkpoint.open(path)) {
            assertThatThrownBy(checkpoint::load).isInstanceOf(CheckpointException.class).hasMessageContainingAll(
                    "1 tensor is missing (norm.weight)", "1 tensor is unknown to the model (surplus)",
                    "norm.bias is [5] instead of [128]");
        }
    }

    /** A small file may claim any size: no memory is reserved for what it does not hold. */
    @Test
    void anArchitectureLargerThanTheMachine() {
        ModelConfig huge = ModelConfigJson.read(ModelConfigJson.write(CONFIG).put("ssm_d_state", 1_000_000_000));
        Path path = written(new Description(huge, "htsat-logmel", LABELS, Activation.SIGMOID, 1, Map.of()), DType.F32,
                Map.of());
        try (Checkpoint checkpoint = Checkpoint.open(path)) {
            assertThatThrownBy(checkpoint::load).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("instead of [128, 1000000000]");
        }
        ObjectNode deep = ModelConfigJson.write(CONFIG);
        deep.putArray("depths").add(1_000_000).add(1).add(1).add(1);
        assertThatThrownBy(() -> ModelConfigJson.read(deep)).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("depths");
    }

    /** A layer of no channels, or of more than any machine has, is no layer. */
    @ParameterizedTest
    @ValueSource(doubles = {1e-9, 1e30, Double.POSITIVE_INFINITY, Double.NaN, -1})
    void ratiosThatMakeNoWidths(double ratio) {
        for (String name : List.of("ssm_ratio", "mlp_ratio")) {
            ObjectNode json = ModelConfigJson.write(CONFIG).put(name, ratio);
            assertThatThrownBy(() -> ModelConfigJson.read(json)).isInstanceOf(ConfigurationException.class)
                    .hasMessageContaining(name);
        }
    }

    @Test
    void aFileWithoutDescriptionIsNotGuessed() {
        Path path = folder.resolve("foreign.safetensors");
        Safetensors.write(path, Map.of("a", RawTensor.of(new float[] {1}, 1)), Map.of());
        assertThatThrownBy(() -> Checkpoint.open(path)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("nor its labels");
    }

    @Test
    void missingOrImpossibleMetadata() {
        Map<String, String> good = DESCRIPTION.toMetadata();
        Map<String, Map.Entry<String, String>> wrong = Map.of("lacks audiomamba.labels",
                Map.entry("audiomamba.labels", ""), "2 labels for 3 classes",
                Map.entry("audiomamba.labels", "[\"a\",\"b\"]"), "not all different",
                Map.entry("audiomamba.labels", "[\"a\",\"a\",\"b\"]"), "not JSON",
                Map.entry("audiomamba.model", "{"), "version 9", Map.entry("audiomamba.format", "9"), "not a number",
                Map.entry("audiomamba.temperature", "hot"), "not sigmoid or softmax",
                Map.entry("audiomamba.activation", "argmax"), "front end is 'ears'",
                Map.entry("audiomamba.front_end", "ears"), "ssm_d_state", Map.entry("audiomamba.model",
                        good.get("audiomamba.model").replace("\"ssm_d_state\":16", "\"ssm_d_state\":0")));
        wrong.forEach((problem, change) -> {
            Map<String, String> metadata = new LinkedHashMap<>(good);
            if (change.getValue().isEmpty()) {
                metadata.remove(change.getKey());
            } else {
                metadata.put(change.getKey(), change.getValue());
            }
            assertThatThrownBy(() -> Description.fromMetadata("m.safetensors", metadata))
                    .isInstanceOf(CheckpointException.class).hasMessageStartingWith("m.safetensors: ")
                    .hasMessageContaining(problem);
        });
    }

    /** The parser's own words about types, limits and classes mean nothing to users. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"input | [] | The model's input is [] but must be one of [image, log-mel,",
            "head | [] | The model's head is [] but must be one of [linear, token-semantic].",
            "downsample_version | {} | The model's downsample_version is {} but must be one of [v1, v2, v3].",
            "patchembed_version | [1] | The model's patchembed_version is [1] but must be one of [v1, v2].",
            "forward_type | [] | The model's forward_type is [], not a text.",
            "ssm_conv_bias | [] | The model's ssm_conv_bias is [], not true or false.",
            "patch_size | [] | The model's patch_size is []; only 4 is supported.",
            "drop_path_rate | \"x\" | The model's drop_path_rate is \"x\", not a number.",
            "mlp_drop_rate | [] | The model's mlp_drop_rate is [], not a number.",
            "ssm_drop_rate | null | The model's ssm_drop_rate is null, not a number.",
            "num_classes | 99999999999999999999 | The model's num_classes is 99999999999999999999, not a whole number."})
    void argumentsOfAnotherType(String name, String value, String problem) {
        ObjectNode model = ModelConfigJson.write(CONFIG);
        model.set(name, new JsonMapper().readTree(value));
        assertUnreadable("audiomamba.model", model.toString(), problem);
    }

    @Test
    void metadataOfAnotherType() {
        for (String provenance : List.of("[]", "{\"recipe\":[]}", "1")) {
            assertUnreadable("audiomamba.provenance", provenance, "Its provenance is not a JSON object of texts.");
        }
        for (String labels : List.of("{}", "[[],\"a\",\"b\"]", "1")) {
            assertUnreadable("audiomamba.labels", labels, "Its labels are not a JSON list of texts.");
        }
        assertUnreadable("audiomamba.model", "[".repeat(1000), "its metadata is not JSON: Document nesting depth (501)"
                + " exceeds the maximum allowed (500)");
    }

    private static void assertUnreadable(String key, String value, String problem) {
        Map<String, String> metadata = new LinkedHashMap<>(DESCRIPTION.toMetadata());
        metadata.put(key, value);
        assertThatThrownBy(() -> Description.fromMetadata("m.safetensors", metadata))
                .isInstanceOf(CheckpointException.class).hasMessageStartingWith("m.safetensors: " + problem);
    }

    @Test
    void aDescriptionMustMakeSense() {
        assertThatThrownBy(() -> new Description(Variants.named("nano_s1"), "htsat-logmel", LABELS,
                Activation.SIGMOID, 1, Map.of())).isInstanceOf(ConfigurationException.class);
    }

    @Test
    void namesOfOtherPublishers() {
        RawTensor one = RawTensor.of(new float[8], 8, 1);
        assertThat(KeyNames.official(Map.of("dass.layers.0.blocks.1.op.x_proj.weight", one))
                .get("layers.0.blocks.1.op.x_proj_weight").shape()).containsExactly(4L, 2L, 1L);
        assertThat(KeyNames.official(Map.of("module.v.layers.0.blocks.0.ln_1.weight", one)))
                .containsOnlyKeys("layers.0.blocks.0.norm.weight");
        assertThat(KeyNames.official(Map.of("tscam_conv.weight", one, "norm.weight", one, "head.weight", one)))
                .containsOnlyKeys("tscam_conv.weight", "norm.weight", "head.weight");
    }
}

package io.audiomamba.model;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig.Downsampling;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.ModelConfig.Normalization;
import io.audiomamba.model.ModelConfig.PatchEmbedding;
import io.audiomamba.model.ModelConfig.ScanForm;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * A {@link ModelConfig} as JSON, with the names and values of the arguments of VMamba's official constructor, and
 * {@code input}, {@code head} and {@code attention_after}, which that constructor does not have.
 */
public final class ModelConfigJson {

    /** Arguments for which this project knows one value only, the one that all published models use. */
    private static final Map<String, String> FIXED = Map.ofEntries(Map.entry("patch_size", "4"),
            Map.entry("patch_norm", "true"), Map.entry("posembed", "false"), Map.entry("ssm_dt_rank", "auto"),
            Map.entry("ssm_act_layer", "silu"), Map.entry("ssm_conv", "3"), Map.entry("mlp_act_layer", "gelu"),
            Map.entry("gmlp", "false"));

    private ModelConfigJson() {}

    /** The arguments that rebuild {@code config}. */
    public static ObjectNode write(ModelConfig config) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("input", lower(config.input()).replace('_', '-'));
        json.put("in_chans", config.inChannels());
        json.put("num_classes", config.classes());
        ArrayNode dims = json.putArray("dims");
        config.dims().forEach(dims::add);
        ArrayNode depths = json.putArray("depths");
        config.depths().forEach(depths::add);
        json.put("ssm_d_state", config.stateSize());
        json.put("ssm_ratio", config.ssmRatio());
        json.put("ssm_conv_bias", config.convBias());
        json.put("ssm_drop_rate", config.ssmDropout());
        json.put("forward_type", config.scanForm().name());
        json.put("mlp_ratio", config.mlpRatio());
        json.put("mlp_drop_rate", config.mlpDropout());
        json.put("norm_layer", lower(config.normalization()));
        json.put("patchembed_version", lower(config.patchEmbedding()));
        json.put("downsample_version", lower(config.downsampling()));
        json.put("drop_path_rate", config.dropPath());
        json.put("head", lower(config.head()).replace('_', '-'));
        if (!config.attentionAfter().isEmpty()) {
            ArrayNode stages = json.putArray("attention_after");
            config.attentionAfter().forEach(stages::add);
        }
        return json;
    }

    private static String lower(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT);
    }

    /**
     * The inverse of {@link #write}; reads the official arguments alike. Arguments that only matter in training may be
     * missing and are then 0, and so may {@code input}, an image by default, {@code head}, by default linear, and {@code attention_after}, by default none.
     *
     * @throws ConfigurationException naming the argument that is missing, of a wrong type, or not supported
     */
    public static ModelConfig read(JsonNode json) {
        FIXED.forEach((name, value) -> {
            if (json.has(name) && !json.get(name).asString("").equals(value)) {
                throw new ConfigurationException("The model's " + name + " is " + json.get(name)
                        + "; only " + value + " is supported.");
            }
        });
        List<Integer> depths = integers(json, "depths");
        JsonNode dims = required(json, "dims");
        return new ModelConfig(
                json.has("input") ? constant(InputKind.class, json, "input") : InputKind.IMAGE,
                integer(json, "in_chans"), integer(json, "num_classes"),
                dims.isInt() ? ModelConfig.doubling(dims.intValue(), depths.size()) : integers(json, "dims"), depths,
                integer(json, "ssm_d_state"), number(json, "ssm_ratio"),
                new ScanForm(text(json, "forward_type")), truth(json, "ssm_conv_bias"),
                number(json, "mlp_ratio"), constant(PatchEmbedding.class, json, "patchembed_version"),
                constant(Downsampling.class, json, "downsample_version"),
                constant(Normalization.class, json, "norm_layer"),
                json.has("head") ? constant(HeadKind.class, json, "head") : HeadKind.LINEAR,
                rate(json, "drop_path_rate"), rate(json, "ssm_drop_rate"), rate(json, "mlp_drop_rate"),
                json.has("attention_after") ? integers(json, "attention_after") : List.of());
    }

    private static JsonNode required(JsonNode json, String name) {
        JsonNode value = json.get(name);
        if (value == null) {
            throw new ConfigurationException("The model's configuration has no " + name + ".");
        }
        return value;
    }

    private static int integer(JsonNode json, String name) {
        JsonNode value = required(json, name);
        if (!value.isInt()) {
            throw not("a whole number", name, value);
        }
        return value.intValue();
    }

    private static double number(JsonNode json, String name) {
        JsonNode value = required(json, name);
        if (!value.isNumber()) {
            throw not("a number", name, value);
        }
        return value.doubleValue();
    }

    /** What only matters in training may be missing. */
    private static double rate(JsonNode json, String name) {
        return json.has(name) ? number(json, name) : 0;
    }

    private static String text(JsonNode json, String name) {
        JsonNode value = required(json, name);
        if (!value.isString()) {
            throw not("a text", name, value);
        }
        return value.stringValue();
    }

    private static boolean truth(JsonNode json, String name) {
        JsonNode value = required(json, name);
        if (!value.isBoolean()) {
            throw not("true or false", name, value);
        }
        return value.booleanValue();
    }

    private static List<Integer> integers(JsonNode json, String name) {
        JsonNode value = required(json, name);
        if (!value.isArray() || !value.valueStream().allMatch(JsonNode::isInt)) {
            throw not("a list of whole numbers", name, value);
        }
        return value.valueStream().map(JsonNode::intValue).toList();
    }

    private static <E extends Enum<E>> E constant(Class<E> type, JsonNode json, String name) {
        JsonNode value = required(json, name);
        for (E constant : type.getEnumConstants()) {
            if (lower(constant).equals(value.asString("").replace('-', '_'))) {
                return constant;
            }
        }
        throw new ConfigurationException("The model's " + name + " is " + value + " but must be one of "
                + List.of(type.getEnumConstants()).toString().toLowerCase(Locale.ROOT).replace('_', '-') + ".");
    }

    private static ConfigurationException not(String right, String name, JsonNode value) {
        return new ConfigurationException("The model's " + name + " is " + value + ", not " + right + ".");
    }
}

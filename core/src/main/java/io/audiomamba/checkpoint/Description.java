package io.audiomamba.checkpoint;

import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.ParseProblem;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.frontend.KaldiFbank;
import io.audiomamba.frontend.LogMel;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.ModelConfigJson;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * What a checkpoint says of itself, so that nobody has to guess how it is to be used.
 *
 * @param model       architecture
 * @param frontEnd    the {@link FrontEnd#name() name} of what turns sound into its input
 * @param labels      of the classes, in the order of the scores
 * @param activation  what turns logits into probabilities
 * @param temperature the logits are divided by this first, so that the probabilities are calibrated; 1 if they are not
 * @param provenance  where the weights come from: recipe, data, metrics, licence, versions; free in form
 */
public record Description(ModelConfig model, String frontEnd, List<String> labels, Activation activation,
        double temperature, Map<String, String> provenance) {

    /** What turns logits into probabilities. */
    public enum Activation {
        /** Each class by itself: several may sound at once. */
        SIGMOID,
        /** Exactly one class sounds. */
        SOFTMAX
    }

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String FORMAT = "audiomamba.format";
    private static final String FORMAT_VERSION = "1";
    private static final String MODEL = "audiomamba.model";
    private static final String FRONT_END = "audiomamba.front_end";
    private static final String LABELS = "audiomamba.labels";
    private static final String ACTIVATION = "audiomamba.activation";
    private static final String TEMPERATURE = "audiomamba.temperature";
    private static final String PROVENANCE = "audiomamba.provenance";

    /**
     * @throws ConfigurationException if the parts contradict each other
     */
    public Description {
        labels = List.copyOf(labels);
        provenance = java.util.Collections.unmodifiableMap(new LinkedHashMap<>(provenance));
        require(labels.size() == model.classes(),
                "it has " + labels.size() + " labels for " + model.classes() + " classes");
        require(new HashSet<>(labels).size() == labels.size() && labels.stream().noneMatch(String::isBlank),
                "its labels are not all different and not blank");
        require(temperature > 0 && Double.isFinite(temperature), "its temperature is " + temperature);
        require(frontEndOf(model.input()).equals(frontEnd) || trainedFrontEndOf(model.input()).equals(frontEnd),
                "its model is fed by '" + model.input() + "' but its front end is '" + frontEnd + "'");
    }

    private static void require(boolean holds, String problem) {
        if (!holds) {
            throw new ConfigurationException("The description of a checkpoint makes no sense: " + problem + ".");
        }
    }

    /**
     * The {@link FrontEnd#name() name} of the front end that feeds a model; {@link FrontEnd#NONE} for a model of images.
     */
    public static String frontEndOf(InputKind input) {
        return switch (input) {
            case LOG_MEL, FOLDED_LOG_MEL -> LogMel.NAME;
            case FILTER_BANK -> KaldiFbank.NAME;
            case IMAGE -> FrontEnd.NONE;
        };
    }

    /** The same for a model that is trained here, on sounds that fill its window. */
    public static String trainedFrontEndOf(InputKind input) {
        return input == InputKind.FILTER_BANK ? KaldiFbank.REPEATING : frontEndOf(input);
    }

    /** This description with more, or other, entries of {@code provenance}. */
    public Description with(Map<String, String> entries) {
        Map<String, String> all = new LinkedHashMap<>(provenance);
        all.putAll(entries);
        return new Description(model, frontEnd, labels, activation, temperature, all);
    }

    /** Whether these metadata are a description, good or not. */
    public static boolean isIn(Map<String, String> metadata) {
        return metadata.containsKey(FORMAT);
    }

    /** As the metadata of a safetensors file. */
    public Map<String, String> toMetadata() {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("format", "pt"); // what Hugging Face's Python library asks for
        metadata.put(FORMAT, FORMAT_VERSION);
        metadata.put(MODEL, ModelConfigJson.write(model).toString());
        metadata.put(FRONT_END, frontEnd);
        ArrayNode list = JSON.createArrayNode();
        labels.forEach(list::add);
        metadata.put(LABELS, list.toString());
        metadata.put(ACTIVATION, activation.name().toLowerCase(Locale.ROOT));
        metadata.put(TEMPERATURE, Double.toString(temperature));
        ObjectNode origin = JSON.createObjectNode();
        provenance.forEach(origin::put);
        metadata.put(PROVENANCE, origin.toString());
        return metadata;
    }

    /**
     * From the metadata of a safetensors file.
     *
     * @param file what to call it in errors
     * @throws CheckpointException if it is not a checkpoint of this project
     */
    public static Description fromMetadata(String file, Map<String, String> metadata) {
        if (!isIn(metadata)) {
            throw new CheckpointException(
                    file + ": does not say what model it holds, nor its labels: it was not written"
                            + " by AudioMamba, and must be imported first (audiomamba import).");
        }
        if (!metadata.get(FORMAT).equals(FORMAT_VERSION)) {
            throw new CheckpointException(file + ": is written in version " + metadata.get(FORMAT)
                    + " of the format; this AudioMamba reads version " + FORMAT_VERSION + ": update it.");
        }
        try {
            JsonNode origin = JSON.readTree(metadata.getOrDefault(PROVENANCE, "{}"));
            if (!origin.isObject() || !origin.valueStream().allMatch(JsonNode::isValueNode)) {
                throw new ConfigurationException("Its provenance is not a JSON object of texts.");
            }
            Map<String, String> provenance = new LinkedHashMap<>();
            origin.properties().forEach(entry -> provenance.put(entry.getKey(), entry.getValue().asString()));
            JsonNode labels = JSON.readTree(required(file, metadata, LABELS));
            if (!labels.isArray() || !labels.valueStream().allMatch(JsonNode::isValueNode)) {
                throw new ConfigurationException("Its labels are not a JSON list of texts.");
            }
            return new Description(ModelConfigJson.read(JSON.readTree(required(file, metadata, MODEL))),
                    required(file, metadata, FRONT_END), labels.valueStream().map(JsonNode::asString).toList(),
                    activation(required(file, metadata, ACTIVATION)),
                    Double.parseDouble(metadata.getOrDefault(TEMPERATURE, "1")), provenance);
        } catch (JacksonException e) {
            throw new CheckpointException(file + ": its metadata is not JSON: " + ParseProblem.of(e) + ".", e);
        } catch (NumberFormatException e) {
            throw new CheckpointException(file + ": its temperature is not a number.", e);
        } catch (ConfigurationException e) {
            throw new CheckpointException(file + ": " + e.getMessage(), e);
        }
    }

    private static String required(String file, Map<String, String> metadata, String key) {
        String value = metadata.get(key);
        if (value == null) {
            throw new CheckpointException(file + ": its metadata lacks " + key + ".");
        }
        return value;
    }

    private static Activation activation(String name) {
        for (Activation activation : Activation.values()) {
            if (activation.name().equalsIgnoreCase(name)) {
                return activation;
            }
        }
        throw new ConfigurationException("Its activation is '" + name + "', not sigmoid or softmax.");
    }
}

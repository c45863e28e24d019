package io.audiomamba.train;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig.HeadKind;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/**
 * How a model is trained. {@code recipes/defaults.yaml} says what every value means; a recipe is a YAML file with those
 * that differ.
 */
public record Recipe(Model model, Train train, Loss loss, Optimizer optimizer, Schedule schedule, Sampling sampling,
        Augment augment) {

    /** The architecture. */
    public record Model(String preset, HeadKind head, double dropPath) {}

    /** The course of training. */
    public record Train(int epochs, int batchSize, long seed, Precision precision, int workers, double ema,
            int evaluateEvery, int saveEvery) {}

    /** What is computed in: FLOAT32, or mixed with BFLOAT16. */
    public enum Precision {
        FLOAT32, BFLOAT16
    }

    /** What is minimised. */
    public record Loss(LossKind kind, double labelSmoothing) {}

    /** For one label a clip, or for several. */
    public enum LossKind {
        CROSS_ENTROPY, BINARY_CROSS_ENTROPY
    }

    /** AdamW (Loshchilov and Hutter 2019). */
    public record Optimizer(double lr, double weightDecay, double beta1, double beta2, double clipNorm,
            int accumulate) {}

    /** The learning rate over time. */
    public record Schedule(ScheduleKind kind, int warmupEpochs, double finalFactor, List<Double> warmupFactors,
            List<Integer> stepEpochs) {}

    /** Linear warm-up and a cosine, or a table and halving. */
    public enum ScheduleKind {
        COSINE, STEPS
    }

    /** In which order clips are drawn. */
    public enum Sampling {
        SHUFFLE, BALANCED, WEIGHTED
    }

    /** What is done to clips in training. */
    public record Augment(double mixupAlpha, double mixupProbability, double cutmixAlpha, double cutmixProbability,
            int timeMasks, int timeMaskFrames, int frequencyMasks, int frequencyMaskBins, double filterDb, boolean roll,
            double gainDb, double speed) {}

    private static final YAMLMapper YAML = YAMLMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES).build();

    /** The recipes of this project. */
    public static final List<String> NAMES = List.of("esc10", "esc50", "audioset-balanced");

    /**
     * A recipe by its name, or from a file, with some values changed.
     *
     * @param settings such as {@code optimizer.lr} to {@code 3e-4}
     * @throws ConfigurationException naming the key that is unknown or whose value makes no sense
     */
    public static Recipe of(String nameOrFile, Map<String, String> settings) {
        ObjectNode tree = resource("defaults");
        overlay(tree, NAMES.contains(nameOrFile) ? resource(nameOrFile) : file(nameOrFile), "");
        settings.forEach((key, value) -> set(tree, key, value));
        return bind(tree);
    }

    private static ObjectNode resource(String name) {
        try (InputStream in = Recipe.class.getResourceAsStream("recipes/" + name + ".yaml")) {
            return (ObjectNode) YAML.readTree(in);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private static JsonNode file(String name) {
        Path path = Path.of(name);
        if (!Files.isRegularFile(path)) {
            throw new ConfigurationException("There is no recipe '" + name + "' and no such file; recipes are "
                    + String.join(", ", NAMES) + ".");
        }
        try {
            return YAML.readTree(path.toFile());
        } catch (JacksonException e) {
            throw new ConfigurationException(name + ": is not a YAML file: " + e.getOriginalMessage() + ".", e);
        }
    }

    private static void overlay(ObjectNode base, JsonNode changes, String prefix) {
        for (Map.Entry<String, JsonNode> change : changes.properties()) {
            String key = change.getKey();
            JsonNode old = base.get(key);
            if (old == null) {
                throw unknown(prefix + key);
            }
            if (old.isObject() && change.getValue().isObject()) {
                overlay((ObjectNode) old, change.getValue(), prefix + key + ".");
            } else {
                base.set(key, change.getValue());
            }
        }
    }

    private static void set(ObjectNode tree, String key, String value) {
        JsonNode node = tree;
        String[] path = key.split("\\.");
        for (int i = 0; i < path.length - 1; i++) {
            node = node.path(path[i]);
        }
        String last = path[path.length - 1];
        if (!node.has(last) || node.get(last).isObject()) {
            throw unknown(key);
        }
        ((ObjectNode) node).set(last, YAML.readTree(value));
    }

    private static ConfigurationException unknown(String key) {
        return new ConfigurationException("A recipe has no '" + key + "'; defaults.yaml lists what there is.");
    }

    private static Recipe bind(ObjectNode tree) {
        // YAML writes constants as its readers like them: token-semantic; Java as TOKEN_SEMANTIC.
        dashless((ObjectNode) tree.get("model"), "head");
        dashless((ObjectNode) tree.get("loss"), "kind");
        try {
            return YAML.treeToValue(tree, Recipe.class);
        } catch (JacksonException e) {
            throw new ConfigurationException("The recipe makes no sense: " + e.getOriginalMessage() + ".", e);
        }
    }

    private static void dashless(ObjectNode node, String key) {
        node.put(key, node.get(key).asString().replace('-', '_').toUpperCase(Locale.ROOT));
    }

    /** This recipe with another seed. */
    public Recipe withSeed(long seed) {
        Train changed = new Train(train.epochs, train.batchSize, seed, train.precision, train.workers, train.ema,
                train.evaluateEvery, train.saveEvery);
        return new Recipe(model, changed, loss, optimizer, schedule, sampling, augment);
    }

    /** Every value, as YAML. */
    public String toYaml() {
        return YAML.writeValueAsString(this);
    }
}

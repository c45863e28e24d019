package io.audiomamba.train;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.ParseProblem;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.EnumNamingStrategies;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.exc.InvalidFormatException;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLMapper;
import tools.jackson.dataformat.yaml.YAMLWriteFeature;

/**
 * Recipes as YAML. A recipe's values are laid over those of {@code recipes/defaults.yaml}, which thereby says which keys
 * there are and of what type each is; those of its {@code base}, another recipe of this project, lie between.
 */
final class RecipeYaml {

    static final List<String> NAMES = List.of("esc10", "esc50", "audioset-balanced", "audioset-full",
            "ablation-scratch", "ablation-transformer", "ablation-cutmix", "pretrain");

    private static final String BASE = "base";
    private static final YAMLMapper YAML = YAMLMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(YAMLWriteFeature.WRITE_DOC_START_MARKER).enable(YAMLWriteFeature.MINIMIZE_QUOTES)
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enumNamingStrategy(EnumNamingStrategies.KEBAB_CASE).enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
            .build();

    private RecipeYaml() {}

    static Recipe read(String nameOrFile, Map<String, String> settings) {
        ObjectNode tree = resource("defaults");
        layer(tree, NAMES.contains(nameOrFile) ? resource(nameOrFile) : file(nameOrFile));
        settings.forEach((key, value) -> set(tree, key, parse("--set " + key + "=" + value, value)));
        try {
            return YAML.treeToValue(tree, Recipe.class);
        } catch (JacksonException e) {
            throw explained(e);
        }
    }

    static String write(Recipe recipe) {
        return YAML.writeValueAsString(recipe);
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
        JsonNode content;
        try {
            content = parse(name, Files.readString(path));
        } catch (CharacterCodingException e) {
            throw new ConfigurationException(name + ": is not a recipe: it is no text in UTF-8.", e);
        } catch (IOException e) {
            throw new ConfigurationException(name + ": cannot be read (" + e.getClass().getSimpleName() + ": "
                    + e.getMessage() + ").", e);
        }
        if (!content.isObject() && !content.isMissingNode()) {
            throw new ConfigurationException(name + ": is not a recipe: it must hold lines of 'key: value'.");
        }
        return content;
    }

    private static JsonNode parse(String what, String yaml) {
        try {
            return YAML.readTree(yaml);
        } catch (JacksonException e) {
            throw new ConfigurationException(what + ": is not YAML: " + problem(e) + ".", e);
        }
    }

    private static String problem(JacksonException e) {
        return e.getCause() instanceof MarkedYamlEngineException marked && marked.getProblemMark().isPresent()
                ? ParseProblem.at(marked.getProblem(), marked.getProblemMark().get().getLine() + 1,
                        marked.getProblemMark().get().getColumn() + 1)
                : ParseProblem.of(e);
    }

    /** Lays a recipe over {@code tree}, after the one of this project that it names as its base. */
    private static void layer(ObjectNode tree, JsonNode recipe) {
        if (recipe.has(BASE)) {
            String base = ((ObjectNode) recipe).remove(BASE).asString("");
            if (!NAMES.contains(base)) {
                throw new ConfigurationException("A recipe has the base '" + base + "'; bases are "
                        + String.join(", ", NAMES) + ".");
            }
            layer(tree, resource(base));
        }
        overlay(tree, recipe, "");
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
                replace(base, key, prefix + key, change.getValue());
            }
        }
    }

    private static void set(ObjectNode tree, String key, JsonNode value) {
        JsonNode parent = tree;
        String[] path = key.split("\\.", -1);
        for (int i = 0; i < path.length - 1; i++) {
            parent = parent.path(path[i]);
        }
        String last = path[path.length - 1];
        if (!parent.has(last) || parent.get(last).isObject()) {
            throw unknown(key);
        }
        replace((ObjectNode) parent, last, key, value);
    }

    private static ConfigurationException unknown(String key) {
        return new ConfigurationException("A recipe has no '" + key + "'; docs/training.md lists what there is.");
    }

    /** Numbers may be strings, such as 3e-4, which YAML does not take for one. */
    private static void replace(ObjectNode parent, String key, String path, JsonNode value) {
        JsonNode old = parent.get(key);
        boolean fits = switch (old.getNodeType()) {
            case NUMBER -> old.isIntegralNumber() ? value.isIntegralNumber() : isNumber(value);
            case BOOLEAN -> value.isBoolean();
            case ARRAY -> value.isArray();
            case STRING -> value.isString();
            default -> value.isObject();
        };
        if (!fits) {
            String right = switch (old.getNodeType()) {
                case NUMBER -> old.isIntegralNumber() ? "a whole number" : "a number";
                case BOOLEAN -> "true or false";
                case ARRAY -> "a list, such as [1, 2]";
                case STRING -> "a name";
                default -> "several keys with values";
            };
            throw new ConfigurationException("The recipe's " + path + " is " + value + " but must be " + right + ".");
        }
        if (!isFinite(value) || !value.valueStream().allMatch(RecipeYaml::isFinite)) {
            throw new ConfigurationException("The recipe's " + path + " is " + value.toString().replace("\"", "")
                    + " but must be finite.");
        }
        parent.set(key, value);
    }

    private static boolean isFinite(JsonNode value) {
        return !isNumber(value) || Double.isFinite(Double.parseDouble(value.asString()));
    }

    private static boolean isNumber(JsonNode value) {
        return value.isNumber() || value.isString() && value.asString().matches("[-+]?\\d+(\\.\\d*)?[eE][-+]?\\d+");
    }

    /** One sentence for what the types of the defaults do not tell: constants, ranges, items of lists. */
    private static ConfigurationException explained(JacksonException e) {
        if (e.getCause() instanceof ConfigurationException cause) {
            return cause;
        }
        String key = e.getPath().stream().map(JacksonException.Reference::getPropertyName)
                .filter(java.util.Objects::nonNull).collect(Collectors.joining("."));
        if (e instanceof InvalidFormatException format && format.getTargetType().isEnum()) {
            String names = Arrays.stream(format.getTargetType().getEnumConstants()).map(YAML::writeValueAsString)
                    .map(yaml -> yaml.replaceAll("[^a-z0-9-]", "")).collect(Collectors.joining(", "));
            return new ConfigurationException(
                    "The recipe's " + key + " is '" + format.getValue() + "' but must be one of " + names + ".", e);
        }
        return new ConfigurationException("The recipe's " + key + " makes no sense: " + e.getOriginalMessage() + ".",
                e);
    }
}

package io.audiomamba.registry;

import com.fasterxml.jackson.annotation.Nulls;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.ParseProblem;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.json.JsonMapper;

/** The public models that can be had by name. */
public final class Registry {

    /** Names a file in the form of {@code models.json} whose models come first: those of a firm, or of a mirror. */
    public static final String VARIABLE = "AUDIOMAMBA_REGISTRY";

    private static final JsonMapper JSON = JsonMapper.builder().enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .changeDefaultNullHandling(nulls -> nulls.withContentNulls(Nulls.FAIL)).build();

    private final List<PublicModel> models;

    private record Content(List<PublicModel> models) {}

    private Registry(List<PublicModel> models) {
        this.models = List.copyOf(models);
    }

    /**
     * The models of this project's own list, after those of the file that {@value #VARIABLE} names, if it does.
     *
     * @throws ConfigurationException if that file is no such list
     */
    public static Registry known() {
        String file = System.getenv(VARIABLE);
        List<PublicModel> models = new ArrayList<>();
        if (file != null && !file.isBlank()) {
            models.addAll(of(Path.of(file)).all());
        }
        try (InputStream in = Registry.class.getResourceAsStream("models.json")) {
            models.addAll(read("models.json", in.readAllBytes()));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return new Registry(models);
    }

    /**
     * The models of a file alone.
     *
     * @throws ConfigurationException if it is no list of models
     */
    public static Registry of(Path file) {
        try {
            return new Registry(read(file.toString(), Files.readAllBytes(file)));
        } catch (IOException e) {
            throw new ConfigurationException(file + ": cannot be read as a list of models ("
                    + e.getClass().getSimpleName() + ").", e);
        }
    }

    private static List<PublicModel> read(String name, byte[] json) {
        try {
            List<PublicModel> models = ParseProblem.required(JSON.readValue(json, Content.class)).models();
            if (models == null) {
                throw new ConfigurationException(name + ": has no list of models.");
            }
            return models;
        } catch (JacksonException e) {
            // What a model itself complains about is the cause; the parser adds where.
            String reason = e.getCause() instanceof ConfigurationException cause
                    ? cause.getMessage()
                    : "is not a list of models: " + ParseProblem.of(e) + ".";
            throw new ConfigurationException(name + ": " + reason, e);
        }
    }

    /** Every model. */
    public List<PublicModel> all() {
        return models;
    }

    /** The model of this name or alias. */
    public Optional<PublicModel> find(String name) {
        return models.stream().filter(model -> model.isCalled(name)).findFirst();
    }
}

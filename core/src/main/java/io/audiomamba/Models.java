package io.audiomamba;

import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.registry.PublicModel;
import io.audiomamba.registry.Registry;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Where models are found by name: among the resources of the class path ({@code io/audiomamba/models/NAME.safetensors}),
 * then in the user's folder, {@code AUDIOMAMBA_HOME/models} or else {@code ~/.audiomamba/models}, where a
 * {@linkplain Registry public model} that was pulled answers to its aliases too.
 */
public final class Models {

    private static final String SUFFIX = ".safetensors";

    private Models() {}

    /** The user's folder; it need not exist. */
    public static Path home() {
        String home = System.getenv("AUDIOMAMBA_HOME");
        return home == null || home.isBlank()
                ? Path.of(System.getProperty("user.home"), ".audiomamba")
                : Path.of(home);
    }

    /** The names of the models in the user's folder, in alphabetical order. */
    public static List<String> installed() {
        Path folder = home().resolve("models");
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).filter(name -> name.endsWith(SUFFIX))
                    .map(name -> name.substring(0, name.length() - SUFFIX.length())).sorted().toList();
        } catch (IOException e) {
            throw new EnvironmentException(folder + ": cannot be read (" + e.getMessage() + ").", e);
        }
    }

    /**
     * The file that {@code nameOrFile} means, there or not; none if it means a model. Neither a folder nor a file stands in
     * the way of a bundled model that is called as it is; {@code ./NAME} is the file.
     */
    public static Optional<Path> file(String nameOrFile) {
        Path file = Path.of(nameOrFile);
        boolean canBeName = nameOrFile.matches("[\\w.-]+") && !nameOrFile.endsWith(SUFFIX);
        return canBeName && (isBundled(nameOrFile) || !Files.isRegularFile(file))
                ? Optional.empty()
                : Optional.of(file);
    }

    /** Whether a model of this name is among the resources of the class path. */
    public static boolean isBundled(String name) {
        return Models.class.getResource("models/" + name + SUFFIX) != null;
    }

    /**
     * Opens what {@code nameOrFile} {@linkplain #file means}.
     *
     * @throws CheckpointException if there is neither, or it cannot be used
     */
    public static Checkpoint open(String nameOrFile) {
        Optional<Path> file = file(nameOrFile);
        if (file.isPresent()) {
            return Checkpoint.open(file.get());
        }
        try (InputStream bundled = Models.class.getResourceAsStream("models/" + nameOrFile + SUFFIX)) {
            if (bundled != null) {
                return Checkpoint.of(bundled.readAllBytes(), nameOrFile);
            }
        } catch (IOException e) {
            throw new CheckpointException(nameOrFile + ": cannot be read from the class path.", e);
        }
        String name = Registry.known().find(nameOrFile).map(PublicModel::name).orElse(nameOrFile);
        Path installed = home().resolve("models").resolve(name + SUFFIX);
        if (!Files.exists(installed)) {
            throw new CheckpointException(nameOrFile
                    + (Files.isDirectory(Path.of(nameOrFile))
                            ? ": is a folder, not a checkpoint, and there is no bundled model of that name, and no "
                            : ": there is no such file, no bundled model of that name, and no ")
                    + installed + "." + Registry.known().find(nameOrFile)
                            .map(model -> " 'audiomamba pull " + model.name() + "' fetches it.").orElse(""));
        }
        return Checkpoint.open(installed);
    }
}

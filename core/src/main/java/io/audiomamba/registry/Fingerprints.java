package io.audiomamba.registry;

import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;

/**
 * What files had for a SHA-256 when they were fetched for the first time: a text file with one of them a line, as
 * {@code sha256sum} writes it.
 */
final class Fingerprints {

    private static final String BETWEEN = "  ";

    private final Path file;

    Fingerprints(Path file) {
        this.file = file;
    }

    /** Where they are kept. */
    Path file() {
        return file;
    }

    /** The fingerprint of a file of this name. */
    Optional<String> of(String name) {
        if (!Files.exists(file)) {
            return Optional.empty();
        }
        try (var lines = Files.lines(file)) {
            return lines.filter(line -> line.endsWith(BETWEEN + name))
                    .map(line -> line.substring(0, line.indexOf(BETWEEN))).findFirst();
        } catch (IOException e) {
            throw new EnvironmentException(file + ": cannot be read (" + e.getMessage() + ").", e);
        }
    }

    /** Remembers a fingerprint, unless the file of this name has one. */
    void remember(String name, String sha256) {
        if (of(name).isPresent()) {
            return;
        }
        try {
            Files.write(file, List.of(sha256 + BETWEEN + name), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new EnvironmentException(file + ": cannot be written (" + e.getMessage() + ").", e);
        }
    }
}

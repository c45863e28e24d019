package io.audiomamba.data;

import io.audiomamba.error.ConfigurationException;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.UUID;

/** Writes files as a whole or not at all: they appear under their names only when they are complete. */
public final class WholeFile {

    /** What writes the content. */
    @FunctionalInterface
    public interface Content {

        void writeTo(OutputStream out) throws IOException;
    }

    private WholeFile() {}

    /**
     * Writes a text, in UTF-8, and the folders that it needs.
     *
     * @throws ConfigurationException if it cannot be written
     */
    public static void write(Path file, String text) {
        write(file, out -> out.write(text.getBytes(StandardCharsets.UTF_8)));
    }

    /**
     * Writes any content, and the folders that it needs.
     *
     * @throws ConfigurationException if it cannot be written
     */
    public static void write(Path file, Content content) {
        Path target = file.toAbsolutePath();
        Path temporary = null;
        try {
            Files.createDirectories(target.getParent());
            // Not Files.createTempFile: only its owner could read the file.
            temporary = target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".part");
            try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(temporary))) {
                content.writeTo(out);
            }
            Files.move(temporary, target, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            if (temporary != null) {
                temporary.toFile().delete();
            }
            throw new ConfigurationException(
                    file + ": cannot be written (" + e.getClass().getSimpleName() + ": " + e.getMessage() + ").", e);
        }
    }
}

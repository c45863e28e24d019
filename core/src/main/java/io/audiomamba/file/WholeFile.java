package io.audiomamba.file;

import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;
import java.util.regex.Pattern;

/** Files that are written as a whole or not at all: they appear under their names only when they are complete. */
public final class WholeFile {

    private static final String UNFINISHED = ".part";
    private static final Pattern UNFINISHED_NAME = Pattern
            .compile(".+\\.\\p{XDigit}{8}(-\\p{XDigit}{4}){3}-\\p{XDigit}{12}" + Pattern.quote(UNFINISHED));

    /** How many symbolic links may lead from one to the next, as on Linux. */
    private static final int MOST_LINKS = 40;

    /** What writes the content. */
    @FunctionalInterface
    public interface Content {
        void writeTo(WritableByteChannel channel) throws IOException;
    }

    private WholeFile() {}

    /**
     * Makes a folder for files, unless it is there.
     *
     * @throws EnvironmentException if that cannot be done
     */
    public static void createFolder(Path folder) {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw unwritable(folder, e);
        }
    }

    /**
     * Writes a text, in UTF-8.
     *
     * @throws EnvironmentException as {@link #write(Path, Content)}
     */
    public static void write(Path file, String text) {
        write(file, channel -> writeFully(channel, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8))));
    }

    /**
     * Writes any content; where {@code file} is a symbolic link, to what it leads to.
     *
     * @throws EnvironmentException if it cannot be written, or something is there that is no regular file; what was there
     *                              before is there still
     */
    public static void write(Path file, Content content) {
        Path target = target(file);
        Path unfinished = unfinished(target);
        try {
            try (FileChannel channel = FileChannel.open(unfinished, StandardOpenOption.CREATE_NEW,
                    StandardOpenOption.WRITE)) {
                content.writeTo(channel);
                channel.force(true);
            }
            Files.move(unfinished, target, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw unwritable(file, e);
        } finally {
            unfinished.toFile().delete();
        }
    }

    /**
     * The absolute path that is written where {@code file} is asked for: symbolic links are followed, since the complete
     * file would take the place of the link, as it would of a device.
     *
     * @throws EnvironmentException if something is there that is no regular file, or the path is empty
     */
    public static Path target(Path file) {
        if (file.toString().isEmpty()) {
            throw new EnvironmentException("'': cannot be written: an empty path names no file.");
        }
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw new EnvironmentException(file + ": cannot be written: it is "
                    + (Files.isDirectory(file) ? "a folder." : "no regular file."));
        }
        try {
            Path target = file.toAbsolutePath();
            for (int links = 0; Files.isSymbolicLink(target); links++) {
                if (links == MOST_LINKS) {
                    throw new FileSystemLoopException(target.toString());
                }
                target = target.resolveSibling(Files.readSymbolicLink(target));
            }
            return target;
        } catch (IOException e) {
            throw unwritable(file, e);
        }
    }

    /** That {@code file}, or a folder, could not be written, and why. */
    public static EnvironmentException unwritable(Path file, IOException e) {
        Path parent = file.toAbsolutePath().getParent();
        String problem = e instanceof NoSuchFileException && !Files.isDirectory(parent)
                ? ": there is no folder " + parent
                : e instanceof FileAlreadyExistsException && Files.isRegularFile(file)
                        ? ": it is a file, not a folder"
                        : " (" + e.getClass().getSimpleName() + ": " + e.getMessage() + ")";
        return new EnvironmentException(file + ": cannot be written" + problem + ".", e);
    }

    /**
     * A new name beside {@code file} for something that is not complete. Not a temporary file of Java's, which nobody
     * else may read, not even after it has been moved.
     */
    public static Path unfinished(Path file) {
        return file.resolveSibling(file.getFileName() + "." + UUID.randomUUID() + UNFINISHED);
    }

    /**
     * Deletes what processes that were killed left in {@code folder}, where nobody may be writing: files that
     * {@link #unfinished} named, not those of other programs, such as a browser's.
     */
    public static void deleteUnfinished(Path folder) throws IOException {
        try (DirectoryStream<Path> left = Files.newDirectoryStream(folder,
                file -> UNFINISHED_NAME.matcher(file.getFileName().toString()).matches())) {
            for (Path file : left) {
                Files.delete(file);
            }
        }
    }

    /** Writes all of {@code data}. */
    public static void writeFully(WritableByteChannel channel, MemorySegment data) throws IOException {
        // A ByteBuffer holds at most 2 GB.
        long slice = 1L << 30;
        for (long offset = 0; offset < data.byteSize(); offset += slice) {
            writeFully(channel, data.asSlice(offset, Math.min(slice, data.byteSize() - offset)).asByteBuffer());
        }
    }

    /** Writes all that remains of {@code buffer}. */
    public static void writeFully(WritableByteChannel channel, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }
}

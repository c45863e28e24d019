package io.audiomamba.checkpoint;

import io.audiomamba.error.CheckpointException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;

/** A file that is written as a whole or not at all: it appears under its name only when it is complete. */
final class WholeFile {

    /** Writes the content. */
    @FunctionalInterface
    interface Content {
        void writeTo(FileChannel channel) throws IOException;
    }

    private WholeFile() {}

    /** @throws CheckpointException if it cannot be written; what was there before is there still */
    static void write(Path file, Content content) {
        Path target = file.toAbsolutePath();
        // Not a temporary file of Java's, which nobody else may read, not even after it has been moved.
        Path temporary = target.resolveSibling(target.getFileName() + "." + UUID.randomUUID() + ".part");
        try {
            try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.CREATE_NEW,
                    StandardOpenOption.WRITE)) {
                content.writeTo(channel);
                channel.force(true);
            }
            Files.move(temporary, target, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        } catch (NoSuchFileException e) {
            throw new CheckpointException(file + ": cannot be written: there is no folder " + target.getParent() + ".",
                    e);
        } catch (IOException e) {
            throw new CheckpointException(
                    file + ": cannot be written (" + e.getClass().getSimpleName() + ": " + e.getMessage() + ").", e);
        } finally {
            temporary.toFile().delete();
        }
    }

    static void writeFully(FileChannel channel, MemorySegment data) throws IOException {
        // A ByteBuffer holds at most 2 GB.
        long slice = 1L << 30;
        for (long offset = 0; offset < data.byteSize(); offset += slice) {
            writeFully(channel, data.asSlice(offset, Math.min(slice, data.byteSize() - offset)).asByteBuffer());
        }
    }

    static void writeFully(FileChannel channel, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }
}

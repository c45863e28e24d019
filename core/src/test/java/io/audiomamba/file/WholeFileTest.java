package io.audiomamba.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WholeFileTest {

    @TempDir
    private Path folder;

    @Test
    void texts() throws IOException {
        Path file = folder.resolve("a").resolve("b").resolve("text.txt");
        assertThatThrownBy(() -> WholeFile.write(file, "")).isInstanceOf(EnvironmentException.class)
                .hasMessage(file + ": cannot be written: there is no folder " + file.getParent() + ".");
        WholeFile.createFolder(file.getParent());
        WholeFile.write(file, "Käse");
        WholeFile.write(file, "Brot");
        assertThat(file).hasContent("Brot");
        try (var files = Files.list(file.getParent())) {
            assertThat(files).containsExactly(file);
        }
    }

    @Test
    void aFailureLeavesWhatWasThere() {
        Path file = folder.resolve("text.txt");
        WholeFile.write(file, "before");
        assertThatThrownBy(() -> WholeFile.write(file, channel -> {
            WholeFile.writeFully(channel, ByteBuffer.allocate(100));
            throw new IOException("full");
        })).isInstanceOf(EnvironmentException.class)
                .hasMessage(file + ": cannot be written (IOException: full).");
        assertThat(file).hasContent("before");
        assertThat(folder).isDirectoryNotContaining("glob:**.part");
    }

    @Test
    void aFolderThatCannotBeMade() {
        WholeFile.write(folder.resolve("file"), "");
        Path inside = folder.resolve("file").resolve("inside");
        assertThatThrownBy(() -> WholeFile.createFolder(inside)).isInstanceOf(EnvironmentException.class)
                .hasMessageStartingWith(inside + ": cannot be written (");
    }

    /** In /proc, for example, no file can be made. */
    @Test
    void aFolderThatIsThereIsNotSaidToBeMissing() {
        assertThat(WholeFile.unwritable(folder.resolve("x"), new NoSuchFileException("x")))
                .hasMessage(folder.resolve("x") + ": cannot be written (NoSuchFileException: x).");
    }

    @Test
    void whatAKilledProcessLeftIsDeleted() throws IOException {
        Path file = folder.resolve("text.txt");
        WholeFile.write(file, "whole");
        Path download = Files.createFile(folder.resolve("film.mp4.part"));
        Files.createFile(WholeFile.unfinished(file));
        WholeFile.deleteUnfinished(folder);
        try (var files = Files.list(folder)) {
            assertThat(files).containsExactlyInAnyOrder(file, download);
        }
    }
}

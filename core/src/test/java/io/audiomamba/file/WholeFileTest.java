package io.audiomamba.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import io.audiomamba.checkpoint.SafetensorsWriter;
import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
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
        Path file = folder.resolve("file");
        WholeFile.write(file, "");
        assertThatThrownBy(() -> WholeFile.createFolder(file)).isInstanceOf(EnvironmentException.class)
                .hasMessage(file + ": cannot be written: it is a file, not a folder.");
        Path inside = folder.resolve("file").resolve("inside");
        assertThatThrownBy(() -> WholeFile.createFolder(inside)).isInstanceOf(EnvironmentException.class)
                .hasMessageStartingWith(inside + ": cannot be written (");
    }

    /** Of a chain of links, the last of which leads to nothing yet. */
    @Test
    void aLinkStaysAndWhatItLeadsToIsWritten() throws IOException {
        Path far = Files.createDirectory(folder.resolve("far"));
        Path inner = Files.createSymbolicLink(far.resolve("inner"), Path.of("target"));
        Path outer = Files.createSymbolicLink(folder.resolve("outer"), Path.of("far", "inner"));
        for (String text : List.of("new", "other")) {
            WholeFile.write(outer, text);
            assertThat(far.resolve("target")).isRegularFile().hasContent(text);
        }
        assertThat(outer).isSymbolicLink();
        assertThat(inner).isSymbolicLink();
        Path circle = Files.createSymbolicLink(folder.resolve("circle"), Path.of("circle"));
        assertRefused(circle, circle + ": cannot be written (FileSystemLoopException: " + circle + ").");
    }

    @Test
    void whatIsNoFileIsNotReplaced() throws Exception {
        Path empty = Files.createDirectory(folder.resolve("empty"));
        Path link = Files.createSymbolicLink(folder.resolve("link"), empty);
        assertRefused(empty, empty + ": cannot be written: it is a folder.");
        assertRefused(link, link + ": cannot be written: it is a folder.");
        assertThat(empty).isEmptyDirectory();
        assertRefused(Path.of(""), "'': cannot be written: an empty path names no file.");
    }

    @Test
    @EnabledOnOs({OS.LINUX, OS.MAC})
    void aPipeIsNotReplaced() throws Exception {
        Path pipe = folder.resolve("pipe");
        assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
        assertRefused(pipe, pipe + ": cannot be written: it is no regular file.");
        assertThat(Files.readAttributes(pipe, BasicFileAttributes.class).isOther()).isTrue();
    }

    private static void assertRefused(Path file, String sentence) {
        assertThatThrownBy(() -> WholeFile.write(file, _ -> fail("something is written")))
                .isInstanceOf(EnvironmentException.class).hasMessage(sentence);
        assertThatThrownBy(() -> new SafetensorsWriter(file).close()).isInstanceOf(EnvironmentException.class)
                .hasMessage(sentence);
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

package io.audiomamba.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {

    private static final Map<String, String> METADATA = Map.of("rate", "16000");

    @TempDir
    private Path folder;

    private static Map<String, RawTensor> tensors() {
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        tensors.put("b", RawTensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3));
        tensors.put("empty", RawTensor.of(new float[0], 0));
        tensors.put("a", RawTensor.of(new float[] {7}, 1));
        return tensors;
    }

    /** The same bytes as when all tensors are there at once. */
    @Test
    void tensorByTensor() throws IOException {
        Path whole = folder.resolve("whole.safetensors");
        Safetensors.write(whole, tensors(), METADATA);
        Path parts = folder.resolve("parts.safetensors");
        try (SafetensorsWriter writer = new SafetensorsWriter(parts)) {
            tensors().forEach(writer::add);
            assertThat(writer.names()).containsExactly("b", "empty", "a");
            assertThat(parts).doesNotExist();
            writer.finish(METADATA);
        }
        assertThat(parts).hasSameBinaryContentAs(whole);
        try (var files = Files.list(folder)) {
            assertThat(files).containsExactlyInAnyOrder(whole, parts);
        }
    }

    @Test
    void whatIsNotFinishedLeavesNothing() {
        try (SafetensorsWriter writer = new SafetensorsWriter(folder.resolve("x.safetensors"))) {
            tensors().forEach(writer::add);
        }
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void whereNothingCanBeWritten() throws IOException {
        Path file = Files.createFile(folder.resolve("file")).resolve("x.safetensors");
        assertThatThrownBy(() -> new SafetensorsWriter(file)).isInstanceOf(EnvironmentException.class)
                .hasMessageStartingWith(file + ": cannot be written (");
    }
}

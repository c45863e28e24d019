package io.audiomamba.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsTest {

    @TempDir
    private Path folder;

    private Path raw(long headerLength, String header, int dataBytes) throws IOException {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        ByteBuffer file = ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN)
                .putLong(headerLength).put(json);
        return Files.write(folder.resolve("x.safetensors"), file.array());
    }

    @Test
    void whatIsWrittenIsRead() {
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        tensors.put("b", RawTensor.of(new float[] {1, -2, 3e-9f}, 3));
        tensors.put("a", RawTensor.of(new float[] {7}, 1, 1));
        tensors.put("empty", RawTensor.of(new float[0], 0, 4));
        Path path = folder.resolve("w.safetensors");
        Safetensors.write(path, tensors, Map.of("grüße", "\"1\"\n"));
        try (TensorFile file = TensorFile.open(path)) {
            assertThat(file.tensors().keySet()).containsExactly("b", "a", "empty");
            assertThat(file.tensors().get("b").toFloats()).containsExactly(1, -2, 3e-9f);
            assertThat(file.tensors().get("a").shape()).containsExactly(1L, 1L);
            assertThat(file.metadata()).isEqualTo(Map.of("grüße", "\"1\"\n"));
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
            "F32 | [2] | [0,8] | 8 |", "F32 | [2] | [0,8] | 4 | truncated", "F32 | [3] | [0,8] | 8 | needs 12 bytes",
            "F31 | [2] | [0,8] | 8 | unknown dtype", "F32 | [2] | [4,12] | 12 | overlap or leave a gap",
            "F32 | [2] | [0,8] | 12 | belong to no tensor", "F32 | [-2] | [0,8] | 8 | no proper shape",
            "F32 | [2] | [8,0] | 8 | lies at bytes", "F32 | [2.5] | [0,8] | 8 | no proper shape",
            "F32 | [4611686018427387904,4] | [0,8] | 8 | impossible shape", "F32 | 2 | [0,8] | 8 | no proper shape"})
    void headersAreChecked(String type, String shape, String offsets, int bytes, String problem) throws IOException {
        String header = "{\"t\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
        Path file = raw(header.length(), header, bytes);
        if (problem == null) {
            TensorFile.open(file).close();
        } else {
            assertThatThrownBy(() -> TensorFile.open(file)).isInstanceOf(CheckpointException.class)
                    .hasMessageStartingWith(file.toString()).hasMessageContaining(problem);
        }
    }

    @ParameterizedTest
    @CsvSource({"1099511627776", "-1", "0", "100000001", "99"})
    void lengthsOfHeadersAreChecked(long length) throws IOException {
        Path file = raw(length, "{}", 0);
        assertThatThrownBy(() -> TensorFile.open(file)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("header of " + Long.toUnsignedString(length));
    }

    /** The format has only texts there; and no list has a text. */
    @Test
    void metadataOfAnotherKind() throws IOException {
        String header = "{\"__metadata__\":{\"a\":[1]}}";
        Path file = raw(header.length(), header, 0);
        assertThatThrownBy(() -> TensorFile.open(file)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("its metadata a is not a text");
        Path index = Files.writeString(folder.resolve("m.index.json"), "{\"weight_map\":{\"a\":[1]}}");
        assertThatThrownBy(() -> TensorFile.open(index)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("no safetensors file");
    }

    @Test
    void overlappingTensorsAreRefused() throws IOException {
        String header = "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                + "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}";
        Path file = raw(header.length(), header, 6);
        assertThatThrownBy(() -> TensorFile.open(file)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("overlap");
    }

    @Test
    void notATensorFile() throws IOException {
        Path empty = Files.createFile(folder.resolve("empty"));
        Path text = Files.writeString(folder.resolve("text"), "hello, I am not a model at all");
        Path absent = folder.resolve("absent");
        assertThatThrownBy(() -> TensorFile.open(empty)).hasMessageContaining("is empty");
        assertThatThrownBy(() -> TensorFile.open(text)).hasMessageContaining("neither safetensors nor");
        assertThatThrownBy(() -> TensorFile.open(folder)).hasMessageContaining("is a directory");
        assertThatThrownBy(() -> TensorFile.open(absent)).hasMessageContaining("no such file");
    }

    @Test
    void shards() throws IOException {
        Safetensors.write(folder.resolve("m-1.safetensors"), Map.of("a", RawTensor.of(new float[] {1}, 1)), Map.of());
        Safetensors.write(folder.resolve("m-2.safetensors"), Map.of("b", RawTensor.of(new float[] {2}, 1)), Map.of());
        Path index = folder.resolve("m.safetensors.index.json");
        Files.writeString(index, "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}");
        try (TensorFile file = TensorFile.open(index)) {
            assertThat(file.tensors().get("a").toFloats()).containsExactly(1);
            assertThat(file.tensors().get("b").toFloats()).containsExactly(2);
        }
        for (String elsewhere : new String[] {"../m-1.safetensors", "/etc/passwd", "m-3.safetensors"}) {
            Files.writeString(index, "{\"weight_map\":{\"a\":\"" + elsewhere + "\"}}");
            assertThatThrownBy(() -> TensorFile.open(index)).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining(elsewhere);
        }
    }

    @Test
    void nothingHalfWrittenIsLeft() throws IOException {
        Path nowhere = folder.resolve("no-such-folder").resolve("x.safetensors");
        assertThatThrownBy(() -> Safetensors.write(nowhere, Map.of(), Map.of()))
                .isInstanceOf(EnvironmentException.class).hasMessageContaining(nowhere.toString());
        Path isFolder = Files.createDirectory(folder.resolve("taken"));
        Files.createFile(isFolder.resolve("x"));
        assertThatThrownBy(() -> Safetensors.write(isFolder, Map.of(), Map.of()))
                .isInstanceOf(EnvironmentException.class);
        try (var files = Files.list(folder)) {
            assertThat(files).containsExactly(isFolder);
        }
    }

    /** A file with changed bytes is read or refused, in a sentence; it never crashes. */
    @Test
    void damagedFiles() throws IOException {
        Path path = folder.resolve("good.safetensors");
        Safetensors.write(path, Map.of("some.weight", RawTensor.of(new float[] {1, 2, 3, 4}, 2, 2)), Map.of("a", "b"));
        byte[] good = Files.readAllBytes(path);
        Random random = new Random(5);
        for (int i = 0; i < 2000; i++) {
            byte[] bad = good.clone();
            for (int change = 0; change <= i % 3; change++) {
                bad[random.nextInt(bad.length)] = (byte) random.nextInt();
            }
            Files.write(path, i % 4 == 0 ? java.util.Arrays.copyOf(bad, random.nextInt(bad.length)) : bad);
            try (TensorFile open = TensorFile.open(path)) {
                open.tensors().values().forEach(RawTensor::toFloats);
            } catch (CheckpointException e) {
                assertThat(e.getMessage()).startsWith(path.toString()).endsWith(".");
            }
        }
    }
}

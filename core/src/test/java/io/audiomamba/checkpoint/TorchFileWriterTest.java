package io.audiomamba.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TorchFileWriterTest {

    private static final Map<String, RawTensor> TENSORS = new LinkedHashMap<>();

    static {
        TENSORS.put("a.weight", RawTensor.of(new float[] {1, -2, Float.NaN, 4, 5, Float.MIN_VALUE}, 2, 3));
        TENSORS.put("half", RawTensor.of(new float[] {1, -2, 65504}, 3).as(DType.F16));
        TENSORS.put("count", RawTensor.of(new float[] {70000}).as(DType.I64));
        TENSORS.put("empty", RawTensor.of(new float[0], 0, 4));
        TENSORS.put("long", RawTensor.of(new float[300_000], 300_000));
    }

    @TempDir
    private Path folder;

    private static void assertSame(Map<String, RawTensor> actual) {
        assertThat(actual.keySet()).containsExactlyElementsOf(TENSORS.keySet());
        TENSORS.forEach((name, tensor) -> {
            assertThat(actual.get(name).type()).isEqualTo(tensor.type());
            assertThat(actual.get(name).shape()).isEqualTo(tensor.shape());
            assertThat(actual.get(name).data().mismatch(tensor.data())).as(name).isEqualTo(-1);
        });
    }

    @Test
    void whatIsWrittenIsRead() {
        for (String key : new String[] {null, "model"}) {
            Path file = folder.resolve("a model's.pth");
            TorchFileWriter.write(file, key, TENSORS, Map.of("who", "ich, \"selbst\""));
            try (TensorFile read = TensorFile.open(file)) {
                assertSame(read.tensors());
                assertThat(read.metadata()).containsExactly(Map.entry("who", "ich, \"selbst\""));
            }
        }
    }

    /** The layout that PyTorch's own reader maps: nothing compressed, every storage at a multiple of 64 bytes. */
    @Test
    void storagesAreAligned() throws IOException {
        Path file = folder.resolve("model.pth");
        TorchFileWriter.write(file, "model", TENSORS, Map.of());
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        try (ZipFile zip = new ZipFile(file.toFile())) {
            List<? extends ZipEntry> entries = Collections.list(zip.entries());
            assertThat(entries.stream().map(ZipEntry::getName)).startsWith("model/data.pkl", "model/data/0")
                    .contains("model/data/4", "model/version");
            int header = 0;
            for (ZipEntry entry : entries) {
                assertThat(bytes.getInt(header)).isEqualTo(0x04034b50);
                assertThat(bytes.getShort(header + 8)).as("method").isZero();
                int data = header + 30 + bytes.getShort(header + 26) + bytes.getShort(header + 28);
                assertThat(data % 64).as(entry.getName()).isZero();
                header = data + (int) entry.getSize();
            }
        }
    }

    @Test
    void equalTensorsGiveEqualFiles() throws IOException {
        Path file = folder.resolve("model.pth");
        TorchFileWriter.write(file, null, TENSORS, Map.of());
        byte[] first = Files.readAllBytes(file);
        TorchFileWriter.write(file, null, TENSORS, Map.of());
        assertThat(Files.readAllBytes(file)).isEqualTo(first);
    }

    @Test
    void aFailureLeavesNothing() throws IOException {
        Path file = folder.resolve("nowhere").resolve("model.pth");
        assertThatThrownBy(() -> TorchFileWriter.write(file, null, TENSORS, Map.of()))
                .isInstanceOf(EnvironmentException.class).hasMessageContaining("no folder " + file.getParent());
        RawTensor freed = new RawTensor(DType.U8, List.of(4L), freed());
        assertThatThrownBy(() -> TorchFileWriter.write(folder.resolve("model.pth"), null, Map.of("x", freed), Map.of()))
                .isInstanceOf(IllegalStateException.class);
        assertThat(folder).isEmptyDirectory();
    }

    private static MemorySegment freed() {
        try (var arena = java.lang.foreign.Arena.ofConfined()) {
            return arena.allocate(4);
        }
    }
}

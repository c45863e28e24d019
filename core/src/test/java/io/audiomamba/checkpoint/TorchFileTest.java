package io.audiomamba.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.CheckpointException;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What torch.save writes in the wild, made by hand. */
class TorchFileTest {

    private static final Map<String, byte[]> STORAGES = Map.of("0", Pickle.floats(1, 2, 3, 4, 5, 6), "1",
            new byte[] {0, 0x3c, 0, (byte) 0xc0});

    @TempDir
    private Path folder;

    private Path zip(Pickle pickle) throws Exception {
        return Pickle.zip(folder.resolve("model.pth"), pickle.end(), STORAGES);
    }

    private static void assertWeight(TensorFile file) {
        RawTensor weight = file.tensors().get("a.weight");
        assertThat(weight.shape()).containsExactly(2L, 3L);
        assertThat(weight.toFloats()).containsExactly(1, 2, 3, 4, 5, 6);
    }

    private static Pickle weight(Pickle pickle) {
        return pickle.text("a.weight").tensor("FloatStorage", "0", 6, 0, new int[] {2, 3}, new int[] {3, 1});
    }

    @Test
    void aPlainDict() throws Exception {
        try (TensorFile file = TensorFile.open(zip(weight(new Pickle().op('}')).op('s')))) {
            assertWeight(file);
        }
    }

    /** {@code model.state_dict()}: the metadata is an attribute, set by BUILD. */
    @Test
    void anOrderedDictWithMetadata() throws Exception {
        Pickle pickle = weight(new Pickle().orderedDict()).op('s').op('}').text("_metadata").orderedDict().op('s')
                .op('b');
        try (TensorFile file = TensorFile.open(zip(pickle))) {
            assertWeight(file);
            assertThat(file.tensors()).hasSize(1);
        }
    }

    /** Optimiser, configuration and a half-precision average beside the model. */
    @Test
    void aTrainingCheckpoint() throws Exception {
        Pickle pickle = new Pickle().op('}').text("model_ema").op('}').text("a.weight")
                .tensor("HalfStorage", "1", 2, 0, new int[] {2}, new int[] {1}).op('s').op('s').text("optimizer")
                .op('}')
                .text("lr").op('G');
        for (byte b : ByteBuffer.allocate(8).putDouble(1e-3).array()) {
            pickle.op(b & 0xff);
        }
        pickle.op('s').op('s').text("config").global("yacs.config", "CfgNode").op(')').op(0x81).op('}').text("SEED")
                .number(0).op('s').op('b').op('s').text("epoch").number(264).op('s').text("model").op('}');
        try (TensorFile file = TensorFile.open(zip(weight(pickle).op('s').op('s')))) {
            assertWeight(file);
        }
    }

    @Test
    void parametersAndStridedViews() throws Exception {
        Pickle pickle = new Pickle().op('}').text("p").global("torch._utils", "_rebuild_parameter").op('(')
                .tensor("FloatStorage", "0", 6, 1, new int[] {2, 2}, new int[] {1, 2}).op(0x88).orderedDict().op('t')
                .op('R').op('s');
        try (TensorFile file = TensorFile.open(zip(pickle))) {
            assertThat(file.tensors().get("p").toFloats()).containsExactly(2, 4, 3, 5);
        }
    }

    @Test
    void halfPrecision() throws Exception {
        Pickle pickle = new Pickle().op('}').text("h").tensor("HalfStorage", "1", 2, 0, new int[] {2}, new int[] {1})
                .op('s');
        try (TensorFile file = TensorFile.open(zip(pickle))) {
            assertThat(file.tensors().get("h").toFloats()).containsExactly(1, -2);
        }
    }

    @Test
    void theLegacyFormat() throws Exception {
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        byte[] magic = new byte[] {0x6c, (byte) 0xfc, (byte) 0x9c, 0x46, (byte) 0xf9, 0x20, 0x6a, (byte) 0xa8, 0x50,
                0x19};
        Pickle first = new Pickle().op(0x8a).op(magic.length);
        for (byte b : magic) {
            first.op(b & 0xff);
        }
        file.writeBytes(first.end());
        file.writeBytes(new Pickle().number(1001).end());
        file.writeBytes(new Pickle().op('}').end());
        file.writeBytes(weight(new Pickle().op('}')).op('s').end());
        file.writeBytes(new Pickle().op(']').op('(').text("0").op('e').end());
        file.writeBytes(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(6).array());
        file.writeBytes(STORAGES.get("0"));
        Path path = folder.resolve("old.pth");
        Files.write(path, file.toByteArray());
        try (TensorFile open = TensorFile.open(path)) {
            assertWeight(open);
        }
        Files.write(path, java.util.Arrays.copyOf(file.toByteArray(), file.size() - 4));
        assertThatThrownBy(() -> TensorFile.open(path)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("truncated");
    }

    @Test
    void nothingThatAPickleNamesIsRun() throws Exception {
        Path proof = folder.resolve("proof");
        for (List<String> call : List.of(List.of("os", "system"), List.of("posix", "system"),
                List.of("builtins", "eval"), List.of("subprocess", "Popen"), List.of("torch.hub", "load"))) {
            Path file = zip(new Pickle().op('}').text("a").global(call.get(0), call.get(1)).op('(')
                    .text("touch " + proof).op('t').op('R').op('s'));
            assertThatThrownBy(() -> TensorFile.open(file)).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining(call.get(0) + "." + call.get(1));
        }
        assertThat(proof).doesNotExist();
    }

    @Test
    void viewsBeyondTheirStorageAreRefused() throws Exception {
        for (int[][] view : new int[][][] {{{7}, {1}, {0}}, {{2, 3}, {3, 2}, {0}}, {{2}, {1}, {5}},
                {{1 << 30, 1 << 30}, {1, 1}, {0}}, {{2}, {-1}, {3}}}) {
            Path file = zip(new Pickle().op('}').text("a").tensor("FloatStorage", "0", 6, view[2][0], view[0], view[1])
                    .op('s'));
            assertThatThrownBy(() -> TensorFile.open(file)).isInstanceOf(CheckpointException.class);
        }
    }

    @Test
    void aDamagedFileGivesOneSentence() throws Exception {
        byte[] good = Files.readAllBytes(zip(weight(new Pickle().op('}')).op('s')));
        Random random = new Random(11);
        Path file = folder.resolve("damaged.pth");
        for (int i = 0; i < 400; i++) {
            byte[] bad = good.clone();
            for (int change = 0; change <= i % 3; change++) {
                bad[random.nextInt(bad.length)] = (byte) random.nextInt();
            }
            Files.write(file, i % 4 == 0 ? java.util.Arrays.copyOf(bad, random.nextInt(bad.length)) : bad);
            try (TensorFile open = TensorFile.open(file)) {
                open.tensors().values().forEach(RawTensor::toFloats);
            } catch (CheckpointException e) {
                assertThat(e.getMessage()).startsWith(file.toString()).endsWith(".").doesNotContain("\n");
            }
        }
    }
}

package io.audiomamba.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.CheckpointException;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What torch.save writes in the wild, made by hand. */
class TorchFileTest {

    private static final Map<String, byte[]> STORAGES = Map.of("0", TorchZips.floats(1, 2, 3, 4, 5, 6), "1",
            new byte[] {0, 0x3c, 0, (byte) 0xc0});

    @TempDir
    private Path folder;

    private Path zip(PickleWriter pickle) throws Exception {
        return TorchZips.zip(folder.resolve("model.pth"), pickle.end(), STORAGES);
    }

    private static void assertWeight(TensorFile file) {
        RawTensor weight = file.tensors().get("a.weight");
        assertThat(weight.shape()).containsExactly(2L, 3L);
        assertThat(weight.toFloats()).containsExactly(1, 2, 3, 4, 5, 6);
    }

    private static PickledTensor view(String storage, DType type, long size, long offset, List<Long> shape,
            List<Long> strides) {
        return new PickledTensor(new PickledTensor.Storage(storage, type, size), offset, shape, strides);
    }

    private static PickleWriter weight(PickleWriter pickle) {
        return pickle.text("a.weight").tensor(view("0", DType.F32, 6, 0, List.of(2L, 3L), List.of(3L, 1L)));
    }

    @Test
    void aPlainDict() throws Exception {
        try (TensorFile file = TensorFile.open(zip(weight(new PickleWriter().op('}')).op('s')))) {
            assertWeight(file);
        }
    }

    /** {@code model.state_dict()}: the metadata is an attribute, set by BUILD. */
    @Test
    void anOrderedDictWithMetadata() throws Exception {
        PickleWriter pickle = weight(new PickleWriter().orderedDict()).op('s').op('}').text("_metadata").orderedDict()
                .op('s')
                .op('b');
        try (TensorFile file = TensorFile.open(zip(pickle))) {
            assertWeight(file);
            assertThat(file.tensors()).hasSize(1);
        }
    }

    /** Optimiser, configuration and a half-precision average beside the model. */
    @Test
    void aTrainingCheckpoint() throws Exception {
        PickleWriter pickle = new PickleWriter().op('}').text("model_ema").op('}').text("a.weight")
                .tensor(view("1", DType.F16, 2, 0, List.of(2L), List.of(1L))).op('s').op('s').text("optimizer")
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
        PickleWriter pickle = new PickleWriter().op('}').text("p").global("torch._utils", "_rebuild_parameter").op('(')
                .tensor(view("0", DType.F32, 6, 1, List.of(2L, 2L), List.of(1L, 2L))).op(0x88).orderedDict().op('t')
                .op('R').op('s');
        try (TensorFile file = TensorFile.open(zip(pickle))) {
            assertThat(file.tensors().get("p").toFloats()).containsExactly(2, 4, 3, 5);
        }
    }

    @Test
    void halfPrecision() throws Exception {
        PickleWriter pickle = new PickleWriter().op('}').text("h")
                .tensor(view("1", DType.F16, 2, 0, List.of(2L), List.of(1L)))
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
        PickleWriter first = new PickleWriter().op(0x8a).op(magic.length);
        for (byte b : magic) {
            first.op(b & 0xff);
        }
        file.writeBytes(first.end());
        file.writeBytes(new PickleWriter().number(1001).end());
        file.writeBytes(new PickleWriter().op('}').end());
        file.writeBytes(weight(new PickleWriter().op('}')).op('s').end());
        file.writeBytes(new PickleWriter().op(']').op('(').text("0").op('e').end());
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
            Path file = zip(new PickleWriter().op('}').text("a").global(call.get(0), call.get(1)).op('(')
                    .text("touch " + proof).op('t').op('R').op('s'));
            assertThatThrownBy(() -> TensorFile.open(file)).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining(call.get(0) + "." + call.get(1));
        }
        assertThat(proof).doesNotExist();
    }

    @Test
    void viewsBeyondTheirStorageAreRefused() throws Exception {
        for (PickledTensor view : List.of(view("0", DType.F32, 6, 0, List.of(7L), List.of(1L)),
                view("0", DType.F32, 6, 0, List.of(2L, 3L), List.of(3L, 2L)),
                view("0", DType.F32, 6, 5, List.of(2L), List.of(1L)),
                view("0", DType.F32, 6, 0, List.of(1L << 30, 1L << 30), List.of(1L, 1L)),
                view("0", DType.F32, 6, 0, List.of(1L << 40, 1L << 40), List.of(1L, 1L)),
                view("0", DType.F32, 6, 3, List.of(2L), List.of(-1L)))) {
            Path file = zip(new PickleWriter().op('}').text("a").tensor(view).op('s'));
            assertThatThrownBy(() -> TensorFile.open(file)).isInstanceOf(CheckpointException.class);
        }
    }

    private void refused(Path file, String reason) {
        assertThatThrownBy(() -> TensorFile.open(file)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith(file.toString()).hasMessageContaining(reason);
    }

    /** Entries of the zip file's directory may all lead to the same bytes. */
    @Test
    void memoryIsBoundedForPartsThatAreTheSame() throws Exception {
        PickleWriter pickle = new PickleWriter().op('}');
        for (int i = 0; i < 4; i++) {
            pickle.text("w" + i).tensor(view("" + i, DType.F32, 4096, 0, List.of(4096L), List.of(1L))).op('s');
        }
        Path file = TorchZips.zip(folder.resolve("model.pth"), pickle.end(), Map.of("0", new byte[4 * 4096]));
        refused(TorchZips.withEntriesOfTheLast(file, 3), "more than a file of this size may");
    }

    @Test
    void memoryIsBoundedForViewsThatAreCopied() throws Exception {
        PickleWriter pickle = new PickleWriter().op('}');
        for (int i = 0; i < 4; i++) {
            pickle.text("w" + i).tensor(view("0", DType.F32, 4096, 0, List.of(64L, 64L), List.of(1L, 64L))).op('s');
        }
        refused(TorchZips.zip(folder.resolve("model.pth"), pickle.end(), Map.of("0", new byte[4 * 4096])),
                "more than a file of this size may");
    }

    /** A few bytes copy a list, a dict or a shape of any length. */
    @Test
    void memoryIsBoundedForListsThatAreCopied() throws Exception {
        for (List<String> copying : List.of(List.of("builtins", "list"), List.of("collections", "OrderedDict"))) {
            PickleWriter pickle = new PickleWriter().global(copying.get(0), copying.get(1)).op('q').op(0).op(']')
                    .op('q')
                    .op(1).op('(');
            for (int i = 0; i < 200; i++) {
                pickle.number(i).number(i).op(0x86);
            }
            pickle.op('e');
            for (int i = 0; i < 200; i++) {
                pickle.op('h').op(0).op('h').op(1).op(0x85).op('R');
            }
            refused(zip(pickle), "copies more than it holds");
        }
        List<Long> ones = Collections.nCopies(65, 1L);
        refused(zip(new PickleWriter().op('}').text("a").tensor(view("0", DType.F32, 6, 0, ones, ones)).op('s')),
                "65 dimensions");
    }

    @Test
    void memoryIsBoundedForCollections() throws Exception {
        PickleWriter empty = new PickleWriter();
        for (int i = 0; i <= 1_000_000; i++) {
            empty.op('}');
        }
        refused(zip(empty), "more dicts, lists and tuples than any model");
        PickleWriter remembered = new PickleWriter().op('N');
        for (int i = 0; i <= 1_000_000; i++) {
            remembered.op(0x94);
        }
        refused(zip(remembered), "refers to more objects than any model");
    }

    /** As text, a list that holds the one before it twice has as many letters as 2 to the power of their number. */
    private static PickleWriter nest() {
        PickleWriter pickle = new PickleWriter().op(']').op('q').op(0).op('0');
        for (int i = 0; i < 40; i++) {
            pickle.op(']').op('q').op(i + 1).op('(').op('h').op(i).op('h').op(i).op('e').op('0');
        }
        return pickle;
    }

    /** Two lists that hold each other have no end as text. */
    private static PickleWriter circle() {
        return new PickleWriter().op(']').op('q').op(0).op(']').op('q').op(40).op('h').op(0).op('a').op('0').op('h')
                .op(40).op('a').op('0');
    }

    @Test
    void collectionsAreNeverWrittenOut() throws Exception {
        for (Supplier<PickleWriter> endless : List.<Supplier<PickleWriter>>of(TorchFileTest::nest,
                TorchFileTest::circle)) {
            refused(zip(endless.get().op('(').text("storage").global("torch", "FloatStorage").op('h').op(40).text("cpu")
                    .number(6).op('t').op('Q')), "the type ArrayList where it needs a name");
            refused(zip(endless.get().op('(').text("storage").op('h').op(40).text("0").text("cpu").number(6).op('t')
                    .op('Q')), "the type ArrayList where it needs a name");
            refused(zip(endless.get().op('(').text("storage").global("torch", "FloatStorage").text("0").text("cpu")
                    .op('h').op(40).op('t').op('Q')), "size or position ArrayList");
            refused(zip(endless.get().text("builtins").op('h').op(40).op(0x93)),
                    "the type ArrayList where it needs a name");
        }
    }

    @Test
    void sizesThatNoMemoryHas() throws Exception {
        refused(zip(new PickleWriter().op('}').text("a")
                .tensor(view("0", DType.F32, 1L << 62, 0, List.of(6L), List.of(1L))).op('s')), "too few for");
        Path emptyBeyond = zip(new PickleWriter().op('}').text("a")
                .tensor(view("0", DType.F32, 6, 1L << 60, List.of(0L), List.of(1L))).op('s'));
        try (TensorFile file = TensorFile.open(emptyBeyond)) {
            assertThat(file.tensors().get("a").elements()).isZero();
        }
    }

    /** Instructions that make no sense: something is added to a tuple, nothing is called. */
    @Test
    void instructionsThatMakeNoSense() throws Exception {
        refused(zip(new PickleWriter().op(')').number(1).op('a')), "is damaged at byte");
        refused(zip(new PickleWriter().op('N').op(')').op('R')), "is damaged at byte");
    }

    /** Weights that are damaged on the way are noticed, not used. */
    @Test
    void everyPartHasItsChecksum() throws Exception {
        Path file = zip(weight(new PickleWriter().op('}')).op('s'));
        byte[] bytes = Files.readAllBytes(file);
        byte[] storage = STORAGES.get("0");
        int place = java.util.stream.IntStream.range(0, bytes.length - storage.length).filter(
                i -> java.util.Arrays.equals(bytes, i, i + storage.length, storage, 0, storage.length)).findFirst()
                .orElseThrow();
        bytes[place + 2] ^= 1;
        Files.write(file, bytes);
        assertThatThrownBy(() -> TensorFile.open(file)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("data/0 is damaged");
    }

    /** As the directory has it, a part begins where nothing is. */
    @Test
    void aPartBeyondTheEnd() throws Exception {
        Path file = zip(weight(new PickleWriter().op('}')).op('s'));
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        int directory = bytes.getInt(bytes.capacity() - 22 + 16);
        Files.write(file, bytes.putInt(directory + 42, 0x7fffffff).array());
        refused(file, "its part archive/data.pkl lies beyond its end");
    }

    @Test
    void aSizeOfMoreThan64Bits() throws Exception {
        PickleWriter pickle = new PickleWriter().op('}').text("a").op('(').text("storage")
                .global("torch", "FloatStorage").text("0").text("cpu").op(0x8a).op(9);
        for (int i = 0; i < 9; i++) {
            pickle.op(0x7f);
        }
        refused(zip(pickle.op('t').op('Q').op('s')), "has a size or position of more than 64 bits");
    }

    @Test
    void metadataThatIsNoText() throws Exception {
        String placeholder = "x".repeat(16); // as long as the name that takes its place
        Path file = TorchZips.zip(folder.resolve("model.pth"), weight(new PickleWriter().op('}')).op('s').end(),
                Map.of("0", STORAGES.get("0"), placeholder, "{\"a\":[]}".getBytes(StandardCharsets.UTF_8)));
        Files.writeString(file, Files.readString(file, StandardCharsets.ISO_8859_1).replace(
                "archive/data/" + placeholder, "archive/" + TorchFile.METADATA_ENTRY), StandardCharsets.ISO_8859_1);
        refused(file, "its metadata a is not a text");
    }

    /** Names that lead out of the archive mean nothing: no entry is ever unpacked. */
    @Test
    void entriesWithHostileNames() throws Exception {
        Path inner = Files.createDirectory(folder.resolve("inner"));
        PickleWriter pickle = new PickleWriter().op('}').text("../../outside")
                .tensor(view("../../outside", DType.F32, 6, 0, List.of(6L), List.of(1L))).op('s');
        Path file = TorchZips.zip(inner.resolve("model.pth"), pickle.end(),
                Map.of("../../outside", STORAGES.get("0"), "/absolute", STORAGES.get("0")));
        try (TensorFile open = TensorFile.open(file)) {
            assertThat(open.tensors().get("../../outside").toFloats()).hasSize(6);
        }
        assertThat(folder).isDirectoryNotContaining(path -> !path.equals(inner));
        assertThat(inner).isDirectoryNotContaining(path -> !path.equals(file));
    }

    @Test
    void aDamagedFileGivesOneSentence() throws Exception {
        byte[] good = Files.readAllBytes(zip(weight(new PickleWriter().op('}')).op('s')));
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

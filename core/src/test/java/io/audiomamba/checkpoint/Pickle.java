package io.audiomamba.checkpoint;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Writes pickles, opcode by opcode, as Python's pickle module would. */
final class Pickle {

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    Pickle() {
        op(0x80).op(2);
    }

    Pickle op(int opcode) {
        bytes.write(opcode);
        return this;
    }

    Pickle global(String module, String name) {
        return op('c').raw(module + "\n" + name + "\n");
    }

    Pickle text(String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        return op('X').little(utf8.length, 4).raw(text);
    }

    Pickle number(int number) {
        return op('J').little(number, 4);
    }

    Pickle tuple(int... numbers) {
        op('(');
        for (int number : numbers) {
            number(number);
        }
        return op('t');
    }

    /** A tensor over the storage {@code key}. */
    Pickle tensor(String storageType, String key, int storageSize, int offset, int[] shape, int[] strides) {
        global("torch._utils", "_rebuild_tensor_v2").op('(').op('(').text("storage").global("torch", storageType)
                .text(key).text("cpu").number(storageSize).op('t').op('Q');
        return number(offset).tuple(shape).tuple(strides).op(0x89).orderedDict().op('t').op('R');
    }

    /** An empty OrderedDict. */
    Pickle orderedDict() {
        return global("collections", "OrderedDict").op(')').op('R');
    }

    private Pickle raw(String text) {
        bytes.writeBytes(text.getBytes(StandardCharsets.UTF_8));
        return this;
    }

    private Pickle little(long value, int count) {
        for (int i = 0; i < count; i++) {
            op((int) (value >> 8 * i) & 0xff);
        }
        return this;
    }

    byte[] end() {
        op('.');
        return bytes.toByteArray();
    }

    static byte[] floats(float... values) {
        ByteBuffer buffer = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        buffer.asFloatBuffer().put(values);
        return buffer.array();
    }

    /** The zip file that torch.save would write. */
    static Path zip(Path file, byte[] pickle, Map<String, byte[]> storages) throws IOException {
        try (OutputStream out = Files.newOutputStream(file); ZipOutputStream zip = new ZipOutputStream(out)) {
            store(zip, "archive/data.pkl", pickle);
            for (Map.Entry<String, byte[]> storage : storages.entrySet()) {
                store(zip, "archive/data/" + storage.getKey(), storage.getValue());
            }
        }
        return file;
    }

    private static void store(ZipOutputStream zip, String name, byte[] content) throws IOException {
        ZipEntry entry = new ZipEntry(name);
        entry.setMethod(ZipEntry.STORED);
        entry.setSize(content.length);
        CRC32 crc = new CRC32();
        crc.update(content);
        entry.setCrc(crc.getValue());
        zip.putNextEntry(entry);
        zip.write(content);
    }
}

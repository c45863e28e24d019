package io.audiomamba.checkpoint;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Zip files as {@code torch.save} would write them, of any content, hostile or not. */
final class TorchZips {

    private TorchZips() {}

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

    /** The same file with more entries in its directory, named 1, 2, ..., for the bytes of its last one, named 0. */
    static Path withEntriesOfTheLast(Path file, int more) throws IOException {
        ByteBuffer zip = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        int end = zip.capacity() - 22; // the record at the end has no comment
        int directory = zip.getInt(end + 16);
        int last = directory;
        int next = directory;
        while (next < end) {
            last = next;
            next += 46 + zip.getShort(last + 28) + zip.getShort(last + 30) + zip.getShort(last + 32);
        }
        int length = end - last;
        short entries = (short) (zip.getShort(end + 10) + more);
        zip.putShort(end + 8, entries).putShort(end + 10, entries).putInt(end + 12, end - directory + more * length);
        ByteBuffer out = ByteBuffer.allocate(zip.capacity() + more * length).put(zip.array(), 0, end);
        for (int i = 1; i <= more; i++) {
            int name = out.position() + 46 + zip.getShort(last + 28) - 1;
            out.put(zip.array(), last, length).put(name, (byte) ('0' + i));
        }
        return Files.write(file, out.put(zip.array(), end, 22).array());
    }
}

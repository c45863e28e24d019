package io.audiomamba.train;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * A file of scalars that TensorBoard draws: a TFRecord (length, its checksum, data, their checksum) for each protocol
 * buffer {@code tensorflow.Event}, of which this class writes the fields wall_time 1, step 2, file_version 3 and
 * summary 5 with values of tag 1 and simple_value 2.
 */
final class EventFile {

    private static final int VARINT = 0;
    private static final int FIXED_64 = 1;
    private static final int BYTES = 2;
    private static final int FIXED_32 = 5;

    private EventFile() {}

    /** Makes an empty file. */
    static void begin(Path file) throws IOException {
        Message event = new Message();
        event.key(1, FIXED_64).fixed(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putDouble(0));
        event.key(3, BYTES).bytes("brain.Event:2".getBytes(StandardCharsets.UTF_8));
        write(file, event, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE);
    }

    /**
     * Adds the values of a step.
     *
     * @param time in seconds since 1970
     */
    static void append(Path file, long step, double time, Map<String, Double> scalars) throws IOException {
        Message summary = new Message();
        scalars.forEach((tag, scalar) -> {
            Message value = new Message();
            value.key(1, BYTES).bytes(tag.getBytes(StandardCharsets.UTF_8));
            value.key(2, FIXED_32).fixed(
                    ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(scalar.floatValue()));
            summary.key(1, BYTES).bytes(value.toByteArray());
        });
        Message event = new Message();
        event.key(1, FIXED_64).fixed(ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putDouble(time));
        event.key(2, VARINT).varint(step);
        event.key(5, BYTES).bytes(summary.toByteArray());
        write(file, event, StandardOpenOption.APPEND);
    }

    private static void write(Path file, Message event, OpenOption... options) throws IOException {
        byte[] data = event.toByteArray();
        ByteBuffer record = ByteBuffer.allocate(16 + data.length).order(ByteOrder.LITTLE_ENDIAN);
        record.putLong(data.length);
        record.putInt(masked(record.array(), 8));
        record.put(data).putInt(masked(data, data.length));
        Files.write(file, record.array(), options);
    }

    /** TFRecord's checksum: CRC-32C, rotated and shifted so that a checksum of checksums is none. */
    static int masked(byte[] data, int length) {
        CRC32C crc = new CRC32C();
        crc.update(data, 0, length);
        return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
    }

    /** The wire format of protocol buffers. */
    private static final class Message extends ByteArrayOutputStream {

        Message key(int field, int type) {
            return varint((long) field << 3 | type);
        }

        Message varint(long value) {
            long rest = value;
            for (; (rest & ~0x7fL) != 0; rest >>>= 7) {
                write((int) (rest & 0x7f | 0x80));
            }
            write((int) rest);
            return this;
        }

        void bytes(byte[] value) {
            varint(value.length).writeBytes(value);
        }

        void fixed(ByteBuffer value) {
            writeBytes(value.array());
        }
    }
}

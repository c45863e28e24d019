package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Reads the files back by a parser of their own. */
class EventFileTest {

    @TempDir
    private Path folder;

    private record Event(double time, long step, String version, Map<String, Float> scalars) {}

    private static List<Event> parse(Path file) throws IOException {
        ByteBuffer in = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        List<Event> events = new ArrayList<>();
        while (in.hasRemaining()) {
            byte[] length = new byte[8];
            in.get(in.position(), length);
            byte[] data = new byte[(int) in.getLong()];
            assertThat(in.getInt()).isEqualTo(EventFile.masked(length, 8));
            in.get(data);
            assertThat(in.getInt()).isEqualTo(EventFile.masked(data, data.length));
            events.add(event(ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN)));
        }
        return events;
    }

    private static Event event(ByteBuffer in) {
        double time = Double.NaN;
        long step = 0;
        String version = null;
        Map<String, Float> scalars = new LinkedHashMap<>();
        while (in.hasRemaining()) {
            switch ((int) varint(in)) {
                case 1 << 3 | 1 -> time = in.getDouble();
                case 2 << 3 -> step = varint(in);
                case 3 << 3 | 2 -> version = text(in);
                case 5 << 3 | 2 -> values(slice(in), scalars);
                default -> throw new AssertionError("unknown field");
            }
        }
        return new Event(time, step, version, scalars);
    }

    private static void values(ByteBuffer summary, Map<String, Float> scalars) {
        while (summary.hasRemaining()) {
            assertThat(varint(summary)).isEqualTo(1 << 3 | 2);
            ByteBuffer value = slice(summary);
            assertThat(varint(value)).isEqualTo(1 << 3 | 2);
            String tag = text(value);
            assertThat(varint(value)).isEqualTo(2 << 3 | 5);
            scalars.put(tag, value.getFloat());
            assertThat(value.hasRemaining()).isFalse();
        }
    }

    private static long varint(ByteBuffer in) {
        long value = 0;
        for (int shift = 0;; shift += 7) {
            byte next = in.get();
            value |= (long) (next & 0x7f) << shift;
            if (next >= 0) {
                return value;
            }
        }
    }

    private static ByteBuffer slice(ByteBuffer in) {
        int length = (int) varint(in);
        ByteBuffer slice = in.slice(in.position(), length).order(ByteOrder.LITTLE_ENDIAN);
        in.position(in.position() + length);
        return slice;
    }

    private static String text(ByteBuffer in) {
        ByteBuffer slice = slice(in);
        byte[] bytes = new byte[slice.remaining()];
        slice.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    @Test
    void whatIsWrittenIsRead() throws IOException {
        Path file = folder.resolve("events.out.tfevents.test");
        EventFile.begin(file);
        EventFile.append(file, 1, 1.5e9, Map.of("train/loss", 2.25));
        EventFile.append(file, 300, 1.6e9, Map.of("held_out/mAP", 0.5, "train/loss", 1.0));
        List<Event> events = parse(file);
        assertThat(events).hasSize(3);
        assertThat(events.get(0).version).isEqualTo("brain.Event:2");
        assertThat(events.get(1)).isEqualTo(new Event(1.5e9, 1, null, Map.of("train/loss", 2.25f)));
        assertThat(events.get(2)).isEqualTo(
                new Event(1.6e9, 300, null, Map.of("held_out/mAP", 0.5f, "train/loss", 1f)));
        EventFile.begin(file);
        assertThat(parse(file)).hasSize(1);
    }

    /** CRC-32C of "123456789" is 0xe3069283 (RFC 3720); TFRecord rotates it and adds 0xa282ead8. */
    @Test
    void theChecksumIsTensorFlows() {
        int crc = 0xe3069283;
        assertThat(EventFile.masked("123456789".getBytes(StandardCharsets.US_ASCII), 9))
                .isEqualTo((crc >>> 15 | crc << 17) + 0xa282ead8);
    }
}

package io.audiomamba.checkpoint;

import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.error.ParseProblem;
import io.audiomamba.file.WholeFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The safetensors format (huggingface/safetensors): the length of a JSON header in 8 little-endian bytes, the header
 * (name to dtype, shape and offsets; {@code __metadata__} holds strings), and the data without gaps.
 */
public final class Safetensors {

    /** The largest header that the format allows. */
    private static final long MAX_HEADER = 100_000_000;
    private static final String METADATA = "__metadata__";
    private static final JsonMapper JSON = JsonMapper.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();
    private static final ValueLayout.OfLong LENGTH = ValueLayout.JAVA_LONG_UNALIGNED
            .withOrder(ByteOrder.LITTLE_ENDIAN);

    /** What the header says of a tensor; {@code begin} and {@code end} count from the first byte of the data. */
    record Entry(String name, DType type, List<Long> shape, long begin, long end) {}

    private Safetensors() {}

    /**
     * Maps a file.
     *
     * @throws CheckpointException if it cannot be read or is not well formed
     */
    public static TensorFile open(Path file) {
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            MemorySegment bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            return parse(file.toString(), file, bytes, arena);
        } catch (NoSuchFileException e) {
            arena.close();
            throw new CheckpointException(file + ": there is no such file.", e);
        } catch (IOException e) {
            arena.close();
            throw new CheckpointException(file + ": cannot be read (" + e.getMessage() + ").", e);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    /**
     * Reads what is already in memory, which must stay there until the result is closed.
     *
     * @param name what to call it in errors
     * @throws CheckpointException if it is not well formed
     */
    static TensorFile of(MemorySegment bytes, String name) {
        return parse(name, null, bytes, Arena.ofShared());
    }

    private static TensorFile parse(String file, Path path, MemorySegment bytes, Arena arena) {
        if (bytes.byteSize() < Long.BYTES) {
            throw bad(file, "it has only " + bytes.byteSize() + " bytes");
        }
        long headerLength = bytes.get(LENGTH, 0);
        long available = bytes.byteSize() - Long.BYTES;
        if (headerLength < 2 || headerLength > MAX_HEADER || headerLength > available) {
            throw bad(file, "it would have a header of " + Long.toUnsignedString(headerLength) + " bytes, but "
                    + available + " follow" + (available > MAX_HEADER ? " and " + MAX_HEADER + " are allowed" : ""));
        }
        byte[] header = bytes.asSlice(Long.BYTES, headerLength).toArray(ValueLayout.JAVA_BYTE);
        MemorySegment data = bytes.asSlice(Long.BYTES + headerLength);
        JsonNode json;
        try {
            json = JSON.readTree(header);
        } catch (JacksonException e) {
            throw bad(file, "its header is not JSON: " + ParseProblem.of(e));
        }
        if (!json.isObject()) {
            throw bad(file, "its header is not a JSON object");
        }
        Map<String, String> metadata = new LinkedHashMap<>();
        List<Entry> entries = new ArrayList<>();
        for (Map.Entry<String, JsonNode> property : json.properties()) {
            if (property.getKey().equals(METADATA)) {
                property.getValue().properties().forEach(e -> metadata.put(e.getKey(), text(file, e)));
            } else {
                entries.add(entry(file, property.getKey(), property.getValue(), data.byteSize()));
            }
        }
        checkLayout(file, entries, data.byteSize());
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        for (Entry e : entries) {
            tensors.put(e.name(),
                    new RawTensor(e.type(), e.shape(), data.asSlice(e.begin(), e.end() - e.begin())));
        }
        return new TensorFile(path, arena, tensors, metadata);
    }

    private static String text(String file, Map.Entry<String, JsonNode> metadatum) {
        if (!metadatum.getValue().isString()) {
            throw bad(file, "its metadata " + metadatum.getKey() + " is not a text");
        }
        return metadatum.getValue().stringValue();
    }

    private static Entry entry(String file, String name, JsonNode json, long available) {
        String stated = json.path("dtype").asString("");
        DType type = DType.named(stated)
                .orElseThrow(() -> bad(file, name + " has the unknown dtype '" + stated + "'"));
        JsonNode shapeJson = json.path("shape");
        JsonNode offsets = json.path("data_offsets");
        if (!isLongs(shapeJson) || !isLongs(offsets) || offsets.size() != 2) {
            throw bad(file, name + " has no proper shape and data_offsets");
        }
        List<Long> shape = shapeJson.valueStream().map(JsonNode::longValue).toList();
        long begin = offsets.get(0).longValue();
        long end = offsets.get(1).longValue();
        if (begin > end || end > available) {
            throw bad(file, name + " lies at bytes " + begin + " to " + end + " of " + available
                    + " (is the file truncated?)");
        }
        long needed;
        try {
            needed = Math.multiplyExact(RawTensor.elements(shape), type.bytes());
        } catch (ArithmeticException e) {
            throw bad(file, name + " has the impossible shape " + shape);
        }
        if (needed != end - begin) {
            throw bad(file, name + " needs " + needed + " bytes for " + type + " " + shape + " but has "
                    + (end - begin));
        }
        return new Entry(name, type, shape, begin, end);
    }

    private static boolean isLongs(JsonNode json) {
        return json.isArray()
                && json.valueStream().allMatch(n -> n.isIntegralNumber() && n.canConvertToLong() && n.longValue() >= 0);
    }

    private static void checkLayout(String file, List<Entry> entries, long available) {
        long position = 0;
        for (Entry e : entries.stream().sorted(Comparator.comparingLong(Entry::begin).thenComparing(Entry::end))
                .toList()) {
            if (e.begin() != position) {
                throw bad(file, e.name() + " begins at byte " + e.begin() + " of the data, not at " + position
                        + ": tensors overlap or leave a gap");
            }
            position = e.end();
        }
        if (position != available) {
            throw bad(file, (available - position) + " bytes of its data belong to no tensor");
        }
    }

    private static CheckpointException bad(String file, String reason) {
        return new CheckpointException(file + ": not a valid safetensors file: " + reason + ".");
    }

    /**
     * Writes a file as a whole or not at all: it appears under its name only when it is complete.
     *
     * @throws EnvironmentException if it cannot be written
     */
    public static void write(Path file, Map<String, RawTensor> tensors, Map<String, String> metadata) {
        List<Entry> entries = new ArrayList<>();
        long position = 0;
        for (Map.Entry<String, RawTensor> tensor : tensors.entrySet()) {
            RawTensor raw = tensor.getValue();
            long end = position + raw.data().byteSize();
            entries.add(new Entry(tensor.getKey(), raw.type(), raw.shape(), position, end));
            position = end;
        }
        WholeFile.write(file, channel -> {
            WholeFile.writeFully(channel, head(entries, metadata));
            for (RawTensor tensor : tensors.values()) {
                WholeFile.writeFully(channel, tensor.data());
            }
        });
    }

    /** What comes before the data. */
    static ByteBuffer head(List<Entry> entries, Map<String, String> metadata) {
        ObjectNode header = JSON.createObjectNode();
        if (!metadata.isEmpty()) {
            ObjectNode strings = header.putObject(METADATA);
            metadata.forEach(strings::put);
        }
        for (Entry tensor : entries) {
            ObjectNode entry = header.putObject(tensor.name());
            entry.put("dtype", tensor.type().name());
            ArrayNode shape = entry.putArray("shape");
            tensor.shape().forEach(shape::add);
            entry.putArray("data_offsets").add(tensor.begin()).add(tensor.end());
        }
        byte[] json = header.toString().getBytes(StandardCharsets.UTF_8);
        int padded = (json.length + 7) / 8 * 8;
        ByteBuffer head = ByteBuffer.allocate(Long.BYTES + padded).order(ByteOrder.LITTLE_ENDIAN);
        head.putLong(padded).put(json);
        while (head.hasRemaining()) {
            head.put((byte) ' ');
        }
        return head.flip();
    }
}

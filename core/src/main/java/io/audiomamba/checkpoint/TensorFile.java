package io.audiomamba.checkpoint;

import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ParseProblem;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/**
 * An open file of named tensors: safetensors, an index of safetensors shards, or what {@code torch.save} writes. Where
 * the format allows it their data is mapped, not read; it is valid until the file is closed.
 */
public final class TensorFile implements AutoCloseable {

    /** The first byte of every pickle of protocol 2 or later. */
    private static final int PICKLE_PROTOCOL = 0x80;

    private final List<Path> files;
    private final Map<String, RawTensor> tensors;
    private final Map<String, String> metadata;
    private final Runnable release;

    /** @param file that holds it all; null for what is in memory */
    TensorFile(Path file, Arena arena, Map<String, RawTensor> tensors, Map<String, String> metadata) {
        this(file == null ? List.of() : List.of(file), tensors, metadata, arena::close);
    }

    private TensorFile(List<Path> files, Map<String, RawTensor> tensors, Map<String, String> metadata,
            Runnable release) {
        this.files = files;
        this.tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
        this.metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
        this.release = release;
    }

    /**
     * Opens a file of any known format, told by its content.
     *
     * @throws CheckpointException with one sentence if it cannot be read or is damaged
     */
    public static TensorFile open(Path file) {
        if (Files.isDirectory(file)) {
            throw new CheckpointException(file + ": is a directory, not a checkpoint.");
        }
        if (!Files.exists(file)) {
            throw new CheckpointException(file + ": there is no such file.");
        }
        byte[] head;
        try (InputStream in = Files.newInputStream(file)) {
            head = in.readNBytes(Long.BYTES);
        } catch (AccessDeniedException e) {
            throw new CheckpointException(file + ": may not be read by this user.", e);
        } catch (IOException e) {
            throw new CheckpointException(file + ": cannot be read (" + e.getMessage() + ").", e);
        }
        if (head.length == 0) {
            throw new CheckpointException(file + ": is empty.");
        }
        if (startsAsSafetensors(head)) {
            return Safetensors.open(file);
        }
        if (startsWith(head, 'P', 'K')) {
            return TorchFile.openZip(file);
        }
        if (startsWith(head, PICKLE_PROTOCOL)) {
            return TorchFile.openLegacy(file);
        }
        if (startsWith(head, '{')) {
            return openShards(file);
        }
        if (file.toString().endsWith(".safetensors")) {
            return Safetensors.open(file); // which says what is wrong
        }
        throw new CheckpointException(
                file + ": is neither safetensors nor what torch.save writes, or its first bytes are damaged.");
    }

    /**
     * Whether the file begins with the length of a header that it may have. This comes first: the low bytes of a length
     * can look like any other format's.
     */
    private static boolean startsAsSafetensors(byte[] head) {
        return head.length == Long.BYTES && head[4] == 0 && head[5] == 0 && head[6] == 0 && head[7] == 0;
    }

    private static boolean startsWith(byte[] head, int... prefix) {
        for (int i = 0; i < prefix.length; i++) {
            if (i >= head.length || (head[i] & 0xff) != prefix[i]) {
                return false;
            }
        }
        return true;
    }

    /** Hugging Face's {@code model.safetensors.index.json}, which says which file beside it holds which tensor. */
    private static TensorFile openShards(Path index) {
        JsonNode map;
        try {
            map = new ObjectMapper().readTree(index.toFile()).path("weight_map");
        } catch (JacksonException e) {
            throw new CheckpointException(index + ": is not JSON: " + ParseProblem.of(e) + ".", e);
        }
        if (!map.isObject() || map.isEmpty()) {
            throw new CheckpointException(index + ": has no weight_map, so it is no index of safetensors files.");
        }
        Map<String, TensorFile> shards = new TreeMap<>();
        Runnable release = () -> shards.values().forEach(TensorFile::close);
        try {
            Map<String, RawTensor> tensors = new LinkedHashMap<>();
            map.properties().forEach(entry -> {
                String name = entry.getValue().asString("");
                if (!name.matches("[\\w.-]+\\.safetensors")) {
                    throw new CheckpointException(
                            index + ": names the shard '" + name + "', which is no safetensors file beside it.");
                }
                RawTensor tensor = shards.computeIfAbsent(name, n -> Safetensors.open(index.resolveSibling(n)))
                        .tensors().get(entry.getKey());
                if (tensor == null) {
                    throw new CheckpointException(index + ": " + name + " does not hold " + entry.getKey() + ".");
                }
                tensors.put(entry.getKey(), tensor);
            });
            List<Path> files = Stream.concat(Stream.of(index), shards.keySet().stream().map(index::resolveSibling))
                    .toList();
            return new TensorFile(files, tensors, Map.of(), release);
        } catch (RuntimeException e) {
            release.run();
            throw e;
        }
    }

    /** What was opened, with the files that it refers to; none for what is in memory. */
    public List<Path> files() {
        return files;
    }

    /** The tensors by name, in the order of the file. */
    public Map<String, RawTensor> tensors() {
        return tensors;
    }

    /** What else the file says of itself; empty where its format has no place for that. */
    public Map<String, String> metadata() {
        return metadata;
    }

    @Override
    public void close() {
        release.run();
    }
}

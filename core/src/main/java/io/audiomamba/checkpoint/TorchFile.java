package io.audiomamba.checkpoint;

import io.audiomamba.checkpoint.PickledTensor.Storage;
import io.audiomamba.checkpoint.Unpickler.BadPickleException;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ParseProblem;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/**
 * What {@code torch.save} writes: a zip file with a pickle and one entry for each storage, or, before PyTorch 1.6,
 * pickles followed by the storages. The tensors are those of the model, wherever a training checkpoint keeps them.
 */
final class TorchFile {

    /** Where training checkpoints keep the model's state_dict, in order of preference. */
    private static final List<String> MODEL_KEYS = List.of("model", "state_dict", "model_state_dict", "module", "net",
            "model_ema", "state_dict_ema");
    private static final BigInteger LEGACY_MAGIC = new BigInteger("1950a86a20f9469cfc6c", 16);
    /** Within the archive's folder; PyTorch reads no entry that it does not know. */
    static final String METADATA_ENTRY = "extra/audiomamba.json";
    private static final JsonMapper JSON = new JsonMapper();
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private TorchFile() {}

    /**
     * Reads a zip file. Its entries are read by name and never unpacked, so names with {@code ..} lead nowhere.
     *
     * @throws CheckpointException if it is not such a file or names anything that is not allowed
     */
    static TensorFile openZip(Path file) {
        try (ZipFile zip = new ZipFile(file.toFile())) {
            ZipEntry pickle = zip.stream().filter(entry -> entry.getName().matches("[^/]+/data\\.pkl")).findFirst()
                    .orElseThrow(() -> bad(file, "it is a zip file without a data.pkl, so not written by torch.save"));
            MemoryBudget budget = new MemoryBudget(Files.size(file));
            String root = pickle.getName().substring(0, pickle.getName().indexOf('/') + 1);
            Object content = new Unpickler(MemorySegment.ofArray(content(zip, pickle, budget)), TorchFile::storage)
                    .read();
            Map<String, MemorySegment> storages = new HashMap<>();
            Map<String, RawTensor> tensors = new LinkedHashMap<>();
            for (Map.Entry<String, PickledTensor> tensor : modelOf(content).entrySet()) {
                Storage storage = tensor.getValue().storage();
                if (!storages.containsKey(storage.key())) {
                    ZipEntry entry = zip.getEntry(root + "data/" + storage.key());
                    if (entry == null) {
                        throw new BadPickleException("storage " + storage.key() + " is missing");
                    }
                    storages.put(storage.key(), MemorySegment.ofArray(content(zip, entry, budget)));
                }
                tensors.put(tensor.getKey(), tensor.getValue().read(storages.get(storage.key()), budget));
            }
            return new TensorFile(file, Arena.ofShared(), tensors, metadata(zip, root, budget));
        } catch (BadPickleException e) {
            throw bad(file, e.getMessage());
        } catch (JacksonException e) {
            throw bad(file, "its " + METADATA_ENTRY + " is not JSON: " + ParseProblem.of(e));
        } catch (ZipException e) {
            throw bad(file, "its zip directory is damaged (" + e.getMessage() + "): it may be truncated");
        } catch (IOException e) {
            throw new CheckpointException(file + ": cannot be read (" + e.getMessage() + ").", e);
        }
    }

    /** What AudioMamba wrote beside the tensors, where PyTorch does not look; empty for other files. */
    private static Map<String, String> metadata(ZipFile zip, String root, MemoryBudget budget) throws IOException {
        ZipEntry entry = zip.getEntry(root + METADATA_ENTRY);
        Map<String, String> metadata = new LinkedHashMap<>();
        if (entry != null) {
            JSON.readTree(content(zip, entry, budget)).properties().forEach(e -> {
                if (!e.getValue().isString()) {
                    throw new BadPickleException("its metadata " + e.getKey() + " is not a text");
                }
                metadata.put(e.getKey(), e.getValue().stringValue());
            });
        }
        return metadata;
    }

    private static byte[] content(ZipFile zip, ZipEntry entry, MemoryBudget budget) throws IOException {
        if (entry.getMethod() != ZipEntry.STORED) {
            throw new BadPickleException(
                    "its part " + entry.getName() + " is compressed, which torch.save never does");
        }
        byte[] bytes = budget.take(entry.getSize(), "its part " + entry.getName());
        try (InputStream in = zip.getInputStream(entry)) {
            in.readNBytes(bytes, 0, bytes.length);
            CRC32 checksum = new CRC32();
            checksum.update(bytes);
            if (checksum.getValue() != entry.getCrc()) {
                throw new BadPickleException(
                        "its part " + entry.getName() + " is damaged: it does not have its checksum");
            }
            return bytes;
        } catch (EOFException e) {
            throw new BadPickleException("its part " + entry.getName() + " lies beyond its end: it may be truncated");
        }
    }

    /**
     * Reads a file of pickles and storages.
     *
     * @throws CheckpointException as {@link #openZip}
     */
    static TensorFile openLegacy(Path file) {
        Arena arena = Arena.ofShared();
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            MemorySegment bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            return new TensorFile(file, arena, legacyTensors(bytes), Map.of());
        } catch (BadPickleException e) {
            arena.close();
            throw bad(file, e.getMessage());
        } catch (IOException e) {
            arena.close();
            throw new CheckpointException(file + ": cannot be read (" + e.getMessage() + ").", e);
        } catch (RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    private static Map<String, RawTensor> legacyTensors(MemorySegment bytes) {
        Map<String, Storage> declared = new HashMap<>();
        Unpickler unpickler = new Unpickler(bytes, identifier -> {
            Storage storage = storage(identifier);
            declared.put(storage.key(), storage);
            return storage;
        });
        if (!LEGACY_MAGIC.equals(unpickler.read())) {
            throw new BadPickleException("it is a pickle, but not one that torch.save wrote");
        }
        unpickler.read(); // the version of the protocol
        unpickler.read(); // sizes of C's types where it was written
        Map<String, PickledTensor> model = modelOf(unpickler.read());
        if (!(unpickler.read() instanceof List<?> keys)) {
            throw new BadPickleException("it does not list its storages");
        }
        Map<String, MemorySegment> storages = new HashMap<>();
        long position = unpickler.position();
        for (Object key : keys) {
            Storage storage = declared.get(Unpickler.nameOf(key));
            if (storage == null || bytes.byteSize() - position < Long.BYTES) {
                throw new BadPickleException(
                        "it ends before storage " + Unpickler.nameOf(key) + ": it is truncated");
            }
            long size = bytes.get(LONG, position);
            position += Long.BYTES;
            int width = storage.type().bytes();
            if (size < 0 || size > (bytes.byteSize() - position) / width) {
                throw new BadPickleException("it ends within storage " + storage.key() + ": it is truncated");
            }
            storages.put(storage.key(), bytes.asSlice(position, size * width));
            position += size * width;
        }
        MemoryBudget budget = new MemoryBudget(bytes.byteSize());
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        model.forEach((name, tensor) -> {
            MemorySegment storage = storages.get(tensor.storage().key());
            if (storage == null) {
                throw new BadPickleException("storage " + tensor.storage().key() + " is missing");
            }
            tensors.put(name, tensor.read(storage, budget));
        });
        return tensors;
    }

    /** ("storage", type, key, location, size), in legacy files with the view that it is of another storage. */
    private static Storage storage(List<?> identifier) {
        String typeName = Unpickler.nameOf(identifier.get(1));
        DType type = PickledTensor.storageType(typeName);
        if (!"storage".equals(identifier.get(0)) || type == null) {
            throw new BadPickleException("it has a storage of the unknown type '" + typeName + "'");
        }
        if (identifier.size() > 5 && identifier.get(5) != null) {
            throw new BadPickleException("it has a storage that is a view of another, which is not supported");
        }
        return new Storage(Unpickler.nameOf(identifier.get(2)), type, PickledTensor.number(identifier.get(4)));
    }

    private static Map<String, PickledTensor> modelOf(Object content) {
        if (!(content instanceof Map<?, ?> root)) {
            throw new BadPickleException("it does not hold a dict of tensors");
        }
        for (String key : MODEL_KEYS) {
            if (root.get(key) instanceof Map<?, ?> inner && !tensorsOf(inner).isEmpty()) {
                return tensorsOf(inner);
            }
        }
        Map<String, PickledTensor> tensors = tensorsOf(root);
        if (tensors.isEmpty()) {
            throw new BadPickleException("it holds no dict of tensors, neither by itself nor under "
                    + String.join(", ", MODEL_KEYS));
        }
        return tensors;
    }

    private static Map<String, PickledTensor> tensorsOf(Map<?, ?> dict) {
        Map<String, PickledTensor> tensors = new LinkedHashMap<>();
        dict.forEach((name, value) -> {
            if (name instanceof String text && value instanceof PickledTensor tensor) {
                tensors.put(text, tensor);
            }
        });
        return tensors;
    }

    private static CheckpointException bad(Path file, String reason) {
        return new CheckpointException(file + ": not a usable PyTorch checkpoint: " + reason + ".");
    }
}

package io.audiomamba.checkpoint;

import io.audiomamba.checkpoint.PickledTensor.Storage;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.file.WholeFile;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import tools.jackson.databind.json.JsonMapper;

/**
 * Writes what {@code torch.save} writes for a dict of tensors: a zip file without compression that holds
 * {@code data.pkl}, one entry a storage, each of them at a multiple of 64 bytes, and {@code version}. {@code torch.load}
 * takes it with {@code weights_only} too.
 */
public final class TorchFileWriter {

    private static final int ALIGNMENT = 64;
    private static final int LOCAL_HEADER = 30;
    /** The extra field that pads an entry's header has PyTorch's name. */
    private static final short PADDING_FIELD = 'F' | 'B' << 8;
    private static final int FIELD_HEADER = 4;
    private static final int CHUNK = 1 << 20;
    /** Constant, for equal files of equal tensors; for the very first moment Java would add an extra field. */
    private static final LocalDateTime NO_TIME = LocalDateTime.of(1980, 1, 1, 0, 0, 2);
    /** Of the file format; PyTorch since 1.6 reads it. */
    private static final String VERSION = "3\n";

    private final ZipOutputStream zip;
    private final String root;
    private final byte[] chunk = new byte[CHUNK];
    /** Where the next entry's header begins. */
    private long position;

    private TorchFileWriter(OutputStream out, String root) {
        this.zip = new ZipOutputStream(out);
        this.root = root;
    }

    /**
     * Writes a file as a whole or not at all.
     *
     * @param key      under which a dict around it holds the state_dict, as training checkpoints do; null for none
     * @param metadata what {@link TensorFile#metadata} gives back; PyTorch does not see it
     * @throws EnvironmentException if it cannot be written
     */
    public static void write(Path file, String key, Map<String, RawTensor> tensors, Map<String, String> metadata) {
        String root = file.getFileName().toString().replaceFirst("\\.[^.]*$", "").replaceAll("[^\\w.-]", "_") + "/";
        WholeFile.write(file, channel -> {
            TorchFileWriter writer = new TorchFileWriter(Channels.newOutputStream(channel), root);
            writer.entry("data.pkl", pickle(key, tensors));
            int storage = 0;
            for (RawTensor tensor : tensors.values()) {
                writer.entry("data/" + storage++, tensor.data());
            }
            writer.entry("version", VERSION.getBytes(StandardCharsets.UTF_8));
            writer.entry("byteorder", "little".getBytes(StandardCharsets.UTF_8));
            writer.entry(TorchFile.METADATA_ENTRY, new JsonMapper().writeValueAsBytes(metadata));
            writer.zip.finish();
        });
    }

    private static byte[] pickle(String key, Map<String, RawTensor> tensors) {
        PickleWriter pickle = new PickleWriter();
        if (key != null) {
            pickle.op('}').text(key);
        }
        pickle.orderedDict().op('(');
        int storage = 0;
        for (Map.Entry<String, RawTensor> entry : tensors.entrySet()) {
            RawTensor tensor = entry.getValue();
            pickle.text(entry.getKey())
                    .tensor(new PickledTensor(new Storage("" + storage++, tensor.type(), tensor.elements()), 0,
                            tensor.shape(), rowMajorStrides(tensor.shape())));
        }
        pickle.op('u');
        return (key == null ? pickle : pickle.op('s')).end();
    }

    private static List<Long> rowMajorStrides(List<Long> shape) {
        List<Long> strides = new ArrayList<>();
        long stride = 1;
        for (long length : shape.reversed()) {
            strides.addFirst(stride);
            stride *= length;
        }
        return strides;
    }

    private void entry(String name, byte[] content) throws IOException {
        entry(name, MemorySegment.ofArray(content));
    }

    private void entry(String name, MemorySegment content) throws IOException {
        ZipEntry entry = new ZipEntry(root + name);
        entry.setMethod(ZipEntry.STORED);
        entry.setTimeLocal(NO_TIME);
        entry.setSize(content.byteSize());
        CRC32 checksum = new CRC32();
        copy(content, checksum::update);
        entry.setCrc(checksum.getValue());
        byte[] padding = padding(position + LOCAL_HEADER + entry.getName().length() + FIELD_HEADER);
        entry.setExtra(padding);
        zip.putNextEntry(entry);
        copy(content, zip::write);
        zip.closeEntry();
        position += LOCAL_HEADER + entry.getName().length() + padding.length + content.byteSize();
    }

    /** An extra field after which, if its header ends at {@code end}, the next byte lies at a multiple of 64. */
    private static byte[] padding(long end) {
        int length = (int) (ALIGNMENT - end % ALIGNMENT) % ALIGNMENT;
        return ByteBuffer.allocate(FIELD_HEADER + length).order(ByteOrder.LITTLE_ENDIAN).putShort(PADDING_FIELD)
                .putShort((short) length).array();
    }

    @FunctionalInterface
    private interface Sink {
        void write(byte[] bytes, int offset, int length) throws IOException;
    }

    private void copy(MemorySegment content, Sink sink) throws IOException {
        for (long done = 0; done < content.byteSize();) {
            int length = (int) Math.min(CHUNK, content.byteSize() - done);
            MemorySegment.copy(content, ValueLayout.JAVA_BYTE, done, chunk, 0, length);
            sink.write(chunk, 0, length);
            done += length;
        }
    }
}

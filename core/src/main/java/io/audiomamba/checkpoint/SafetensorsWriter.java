package io.audiomamba.checkpoint;

import io.audiomamba.error.EnvironmentException;
import io.audiomamba.file.WholeFile;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Writes a safetensors file tensor by tensor, for those that do not fit in memory together. The header comes first in
 * the file and is known last: until then the data wait in a file beside it.
 */
public final class SafetensorsWriter implements AutoCloseable {

    private final Path file;
    private final Path waiting;
    private final FileChannel data;
    private final List<Safetensors.Entry> entries = new ArrayList<>();

    /** @throws EnvironmentException if nothing can be written there */
    public SafetensorsWriter(Path file) {
        this.file = file;
        this.waiting = WholeFile.unfinished(WholeFile.target(file));
        try {
            data = FileChannel.open(waiting, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ,
                    StandardOpenOption.WRITE);
        } catch (IOException e) {
            throw WholeFile.unwritable(file, e);
        }
    }

    /**
     * Adds a tensor.
     *
     * @param name another one than all before
     * @throws EnvironmentException if it cannot be written
     */
    public void add(String name, RawTensor tensor) {
        try {
            long begin = data.position();
            WholeFile.writeFully(data, tensor.data());
            entries.add(new Safetensors.Entry(name, tensor.type(), tensor.shape(), begin, data.position()));
        } catch (IOException e) {
            throw WholeFile.unwritable(file, e);
        }
    }

    /** The names of the tensors so far. */
    public List<String> names() {
        return entries.stream().map(Safetensors.Entry::name).toList();
    }

    /**
     * Makes the file of the tensors that were added; without this call none appears.
     *
     * @throws EnvironmentException if it cannot be written
     */
    public void finish(Map<String, String> metadata) {
        WholeFile.write(file, channel -> {
            WholeFile.writeFully(channel, Safetensors.head(entries, metadata));
            for (long done = 0; done < data.size();) {
                done += data.transferTo(done, data.size() - done, channel);
            }
        });
    }

    /** Deletes what is not finished. */
    @Override
    public void close() {
        try {
            data.close();
            Files.deleteIfExists(waiting);
        } catch (IOException e) {
            throw WholeFile.unwritable(file, e);
        }
    }
}

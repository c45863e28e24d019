package io.audiomamba.checkpoint;

import java.lang.foreign.Arena;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** An open file of named tensors. Their data is mapped, not read; it is valid until the file is closed. */
public final class TensorFile implements AutoCloseable {

    private final Arena arena;
    private final Map<String, RawTensor> tensors;
    private final Map<String, String> metadata;

    TensorFile(Arena arena, Map<String, RawTensor> tensors, Map<String, String> metadata) {
        this.arena = arena;
        this.tensors = Collections.unmodifiableMap(new LinkedHashMap<>(tensors));
        this.metadata = Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
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
        arena.close();
    }
}

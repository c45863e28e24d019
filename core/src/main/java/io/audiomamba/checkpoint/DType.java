package io.audiomamba.checkpoint;

import java.util.Optional;

/** Element types of stored tensors, under the names that safetensors gives them. */
public enum DType {
    /** IEEE double. */
    F64(8),
    /** IEEE single. */
    F32(4),
    /** IEEE half. */
    F16(2),
    /** The upper half of an IEEE single. */
    BF16(2),
    /** Signed integers. */
    I64(8), I32(4), I16(2), I8(1),
    /** An unsigned byte. */
    U8(1),
    /** A byte, 0 or 1. */
    BOOL(1);

    private final int bytes;

    DType(int bytes) {
        this.bytes = bytes;
    }

    /** Size of one element. */
    public int bytes() {
        return bytes;
    }

    /** The type called {@code name}, if this project knows it. */
    public static Optional<DType> named(String name) {
        for (DType type : values()) {
            if (type.name().equals(name)) {
                return Optional.of(type);
            }
        }
        return Optional.empty();
    }
}

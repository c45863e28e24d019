package io.audiomamba.checkpoint;

import io.audiomamba.checkpoint.Unpickler.BadPickleException;

/**
 * What a PyTorch file may still take of the memory: each of its bytes is read once and perhaps brought into another order
 * once. A hostile one would have the same bytes read again and again.
 */
final class MemoryBudget {

    private static final int LARGEST_ARRAY = Integer.MAX_VALUE - 16;

    private long left;

    /** @param fileSize in bytes */
    MemoryBudget(long fileSize) {
        left = 2 * fileSize;
    }

    /**
     * Memory of {@code size} bytes.
     *
     * @param what it is for, in the error
     * @throws BadPickleException if the file is too small to need that much, or no array is so large
     */
    byte[] take(long size, String what) {
        if (size < 0 || size > left || size > LARGEST_ARRAY) {
            throw new BadPickleException(what + " would take " + size + " bytes, more than a file of this size may");
        }
        left -= size;
        return new byte[(int) size];
    }
}

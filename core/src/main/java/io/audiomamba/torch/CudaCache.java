package io.audiomamba.torch;

import io.audiomamba.error.AudioMambaException;
import io.audiomamba.file.WholeFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * Machine code on disk. A cache that cannot be read or written only costs the compiler's time again.
 *
 * @param folder where it is, there or not; none for no cache
 */
record CudaCache(Optional<Path> folder) {

    /** What is kept under {@code key}, else what {@code compiler} gives, which is kept. */
    byte[] get(String key, Supplier<byte[]> compiler) {
        if (folder.isEmpty()) {
            return compiler.get();
        }
        Path file = folder.get().resolve(key + ".cubin");
        try {
            return Files.readAllBytes(file);
        } catch (IOException _) {
            byte[] code = compiler.get();
            keep(file, code);
            return code;
        }
    }

    private static void keep(Path file, byte[] code) {
        try {
            WholeFile.createFolder(file.getParent());
            WholeFile.write(file, channel -> WholeFile.writeFully(channel, ByteBuffer.wrap(code)));
        } catch (AudioMambaException _) {
            // then it is compiled again next time
        }
    }
}

package io.audiomamba.torch;

import io.audiomamba.error.AudioMambaException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.file.WholeFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Machine code on disk. A cache that cannot be read or written only costs the compiler's time again.
 *
 * @param folder where it is, there or not; none for no cache
 */
record CudaCache(Optional<Path> folder) {

    /**
     * What {@code loader} makes of what is kept under {@code key}; if nothing is, or that cannot be loaded, of what
     * {@code compiler} gives, which is kept in its place.
     *
     * @param loader throws an {@link EnvironmentException} for code that cannot be loaded
     */
    <T> T get(String key, Supplier<byte[]> compiler, Function<byte[], T> loader) {
        Optional<Path> file = folder.map(place -> place.resolve(key + ".cubin"));
        if (file.isPresent()) {
            try {
                return loader.apply(Files.readAllBytes(file.get()));
            } catch (IOException | EnvironmentException _) {
                // not there, or damaged
            }
        }
        byte[] code = compiler.get();
        T loaded = loader.apply(code);
        file.ifPresent(place -> keep(place, code));
        return loaded;
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

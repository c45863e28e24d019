package io.audiomamba.torch;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.error.EnvironmentException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class CudaCacheTest {

    private static final byte[] CODE = {1, 2, 3};

    @TempDir
    private Path folder;

    private final AtomicInteger compiled = new AtomicInteger();

    private byte[] get(Optional<Path> place) {
        return new CudaCache(place).get("key", () -> {
            compiled.incrementAndGet();
            return CODE;
        }, code -> {
            if (!Arrays.equals(code, CODE)) {
                throw new EnvironmentException("this is no code");
            }
            return code;
        });
    }

    @Test
    void codeIsCompiledOnce() {
        Path place = folder.resolve("new").resolve("cache");
        assertThat(get(Optional.of(place))).isEqualTo(CODE);
        assertThat(get(Optional.of(place))).isEqualTo(CODE);
        assertThat(compiled).hasValue(1);
        assertThat(place).isDirectoryNotContaining(file -> !file.equals(place.resolve("key.cubin")));
    }

    @Test
    void whatCannotBeLoadedIsReplaced() throws Exception {
        Files.write(folder.resolve("key.cubin"), new byte[] {1, 2});
        assertThat(get(Optional.of(folder))).isEqualTo(CODE);
        assertThat(get(Optional.of(folder))).isEqualTo(CODE);
        assertThat(compiled).hasValue(1);
    }

    /** Several users may share a cache. */
    @Test
    @DisabledOnOs(value = OS.WINDOWS, disabledReason = "files there have no POSIX permissions")
    void othersMayReadIt() throws Exception {
        get(Optional.of(folder));
        assertThat(Files.getPosixFilePermissions(folder.resolve("key.cubin")))
                .isEqualTo(Files.getPosixFilePermissions(Files.createFile(folder.resolve("ordinary"))));
    }

    @Test
    void withoutAFolderItIsCompiledEachTime() throws Exception {
        for (Optional<Path> nowhere : List.of(Optional.<Path>empty(),
                Optional.of(Files.createFile(folder.resolve("no folder"))))) {
            compiled.set(0);
            assertThat(get(nowhere)).isEqualTo(CODE);
            assertThat(get(nowhere)).isEqualTo(CODE);
            assertThat(compiled).hasValue(2);
        }
    }
}

package io.audiomamba.torch;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.EnvironmentException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import org.junit.jupiter.api.Test;

class NativeLibraryTest {

    /** Not the class that holds its functions, which could then never be loaded. */
    @Test
    void callsSayThatTheLibraryIsMissing() {
        NativeLibrary missing = NativeLibrary.firstOf("libaudiomamba-none.so.1", "audiomamba-none.dll");
        MethodHandle one = missing.function("ofAPointer", ADDRESS);
        MethodHandle two = missing.function("ofTwo", ADDRESS, JAVA_INT);
        String lack = "None of the libraries libaudiomamba-none.so.1, audiomamba-none.dll can be loaded.";
        assertThat(missing.lack()).isEqualTo(lack);
        assertThatThrownBy(() -> NativeLibrary.call(one, MemorySegment.NULL)).isInstanceOf(EnvironmentException.class)
                .hasMessage(lack);
        assertThatThrownBy(() -> NativeLibrary.call(two, MemorySegment.NULL, 1))
                .isInstanceOf(EnvironmentException.class).hasMessage(lack);
        assertThatThrownBy(() -> NativeLibrary.call(() -> (int) two.invokeExact(MemorySegment.NULL, 1)))
                .isInstanceOf(EnvironmentException.class).hasMessage(lack);
    }

    @Test
    void theFirstLibraryThatThereIsIsCalled() {
        try (Arena arena = Arena.ofConfined()) {
            MethodHandle function = NativeLibrary
                    .firstOf("libaudiomamba-none.so.1", "libc.so.6", "libSystem.B.dylib", "msvcrt.dll")
                    .function("atoi", ADDRESS);
            MemorySegment number = arena.allocateFrom("42");
            assertThat(NativeLibrary.call(function, number)).isEqualTo(42);
            assertThat(NativeLibrary.call(() -> (int) function.invokeExact(number))).isEqualTo(42);
        }
    }

    @Test
    void theCompilersComplaintIsNoWarning() {
        assertThat(CudaCompiler.complaint("k.cu(3): warning #177-D: x is not used\n\nk.cu(9): error: no such y\n"))
                .isEqualTo("k.cu(9): error: no such y");
        assertThat(CudaCompiler.complaint("out of luck\n")).isEqualTo("out of luck");
        assertThat(CudaCompiler.complaint("")).isEqualTo("no reason given");
    }
}

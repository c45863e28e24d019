package io.audiomamba.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.audiomamba.error.EnvironmentException;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MemoryShortageTest {

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has a total capacity of 79.10 GiB of which 1.5 GiB is"
                    + " free. | cuda:1 does not suffice (2.00 GiB more were needed); a smaller batch",
            "CUDA error: out of memory | cuda does not suffice; a smaller batch",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)` | cuda does not suffice; a"})
    void whatTheLibrariesOfAGpuSay(String message, String sentence) {
        RuntimeException e = new RuntimeException(message + "\nException raised from malloc at x.cpp:1\nframe #0: f()");
        assertThat(MemoryShortage.translated(e)).isInstanceOf(EnvironmentException.class).hasCause(e)
                .message().startsWith("The memory of the device " + sentence).endsWith("or --device cpu.")
                .doesNotContain("\n");
    }

    /** A thousand terabytes: no stand-in. */
    @Test
    void whatLibTorchSaysOfACpu() {
        RuntimeException e = catchThrowableOfType(RuntimeException.class,
                () -> Tensors.empty(ScalarType.Byte, 1L << 50));
        assertThat(MemoryShortage.translated(e)).isInstanceOf(EnvironmentException.class).hasMessage("The memory of"
                + " the device cpu does not suffice (1125899906842624 bytes more were needed); a smaller batch, or model, helps.");
    }

    @Test
    void anythingElseStaysWhatItIs() {
        RuntimeException e = new RuntimeException("Expected all tensors to be on the same device");
        assertThat(MemoryShortage.translated(e)).isSameAs(e);
        RuntimeException silent = new RuntimeException();
        assertThat(MemoryShortage.translated(silent)).isSameAs(silent);
    }
}

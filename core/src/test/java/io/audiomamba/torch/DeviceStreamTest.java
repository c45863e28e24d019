package io.audiomamba.torch;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.Gpu;
import org.bytedeco.pytorch.Device;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DeviceStreamTest {

    private Device gpu;

    @BeforeEach
    void begin() {
        gpu = Gpu.orSkip();
    }

    private long handle() {
        return DeviceStream.handle(gpu.index()).address();
    }

    @Test
    void whatWasClosedIsOpenedAgain() {
        long[] handles = handles();
        assertThat(handles).doesNotContain(0).doesNotHaveDuplicates();
        assertThat(handles()).isEqualTo(handles);
    }

    /** Those of a stream and of one within it. */
    private long[] handles() {
        try (var _ = new DeviceStream(gpu)) {
            long outer = handle();
            long inner;
            try (var _ = new DeviceStream(gpu)) {
                inner = handle();
            }
            assertThat(handle()).isEqualTo(outer);
            return new long[] {outer, inner};
        } finally {
            assertThat(handle()).isZero();
        }
    }
}

package io.audiomamba.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.Gpu;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class CudaGraphTest {

    private Device gpu;

    @BeforeEach
    void begin() {
        gpu = Gpu.orSkip();
    }

    @Test
    void repeatsWhatWasRecordedOnNewInputs() {
        try (var _ = new DeviceStream(gpu); var _ = new PointerScope(); var _ = new NoGradGuard()) {
            assertThat(DeviceStream.isOpen(gpu)).isTrue();
            Tensor x = torch.ones(1000).to(gpu, torch.ScalarType.Float);
            Tensor y = torch.zeros_like(x);
            try (CudaGraph graph = new CudaGraph(gpu, () -> y.copy_(x.mul(new Scalar(2.0)).add(new Scalar(1.0))))) {
                assertThat(y.max().item_float()).as("a recording is no run").isZero();
                for (float value : new float[] {1, 5}) {
                    x.fill_(new Scalar(value));
                    graph.launch();
                    assertThat(y.min().item_float()).isEqualTo(2 * value + 1);
                }
                assertThat(graph.isValid()).isTrue();
            }
        }
        assertThat(DeviceStream.isOpen(gpu)).isFalse();
    }

    /** What it took may have gone back to the driver. */
    @Test
    void isNotValidIfMemoryWasShortMeanwhile() {
        try (var _ = new DeviceStream(gpu); var _ = new PointerScope(); var _ = new NoGradGuard()) {
            Tensor x = torch.ones(1000).to(gpu, torch.ScalarType.Float);
            try (CudaGraph graph = new CudaGraph(gpu, () -> {
                x.add_(new Scalar(1.0));
                assertThatThrownBy(() -> Tensors.emptyBeside(x, torch.ScalarType.Float, 1L << 48));
            })) {
                assertThat(graph.isValid()).isFalse();
            }
        }
    }

    @Test
    void whatFailsWhileItIsRecordedLeavesTheStreamInOrder() {
        try (var _ = new DeviceStream(gpu); var _ = new PointerScope()) {
            assertThatThrownBy(() -> new CudaGraph(gpu, () -> {
                throw new IllegalStateException("no work today");
            })).hasMessage("no work today");
            assertThat(torch.ones(3).to(gpu, torch.ScalarType.Float).sum().item_float()).isEqualTo(3);
        }
    }
}

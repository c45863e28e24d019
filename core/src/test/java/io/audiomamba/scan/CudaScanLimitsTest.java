package io.audiomamba.scan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.Variants;
import io.audiomamba.torch.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the kernel for GPUs decides before it needs one. */
class CudaScanLimitsTest {

    private final ScanKernel cuda = new CudaScan();
    private PointerScope scope;

    @BeforeEach
    void begin() {
        scope = new PointerScope();
    }

    @AfterEach
    void end() {
        scope.close();
    }

    private static CudaScan.Cut cut(long rank, long states, boolean tensorCores) {
        return CudaScan.Cut.of(ScanInputs.random(1, 1, 1, 1, rank, states), tensorCores);
    }

    @Test
    void everyVariantFitsIntoABlock() {
        for (String name : Variants.names()) {
            ModelConfig config = Variants.named(name);
            for (int width : config.dims()) {
                for (boolean tensorCores : new boolean[] {false, true}) {
                    assertThat(cut(Math.ceilDiv(width, 16), config.stateSize(), tensorCores).warps())
                            .as(name + ", width " + width).isEqualTo(3);
                }
            }
        }
    }

    /** Emulated kernels check that these fit: wide tables make chunks shorter. */
    @ParameterizedTest
    @CsvSource({"48,16,false,64,3", "64,16,true,64,3", "80,1,false,64,2", "64,16,false,32,3", "96,1,false,32,3",
            "6,48,true,32,1", "6,64,true,16,1"})
    void wideTablesMakeChunksShorter(int rank, int states, boolean tensorCores, int chunk, int warps) {
        assertThat(cut(rank, states, tensorCores)).isEqualTo(new CudaScan.Cut(chunk, warps));
    }

    @Test
    void moreStatesThanFitAreRefused() {
        assertThatThrownBy(() -> cut(6, 96, true)).isInstanceOf(ConfigurationException.class).hasMessage(
                "On a GPU the scan has no room for 96 states of a channel beside a rank of 6; -Daudiomamba.scan=torch"
                        + " computes it, slowly.");
    }

    @Test
    void moreImagesThanALaunchTakesAreRefused() {
        ScanInputs many = ScanInputs.random(65536, 1, 1, 1, 1, 1);
        assertThatThrownBy(() -> cuda.forward(many, false)).isInstanceOf(ConfigurationException.class)
                .hasMessage("On a GPU the scan takes 65535 images at a time, not 65536; make the batch smaller.");
    }

    @ParameterizedTest
    @CsvSource({"0,16,8,32", "2,0,8,32"})
    void ofNothingTheGradientsAreZero(int batch, int height, int width, int channels) {
        ScanInputs none = ScanInputs.random(batch, height, width, channels, 2, 1);
        ScanKernel.Result result = cuda.forward(none, true);
        assertThat(Tensors.shape(result.merged())).containsExactly(batch, height, width, channels);
        Tensor[] gradients = cuda.backward(none, result.kept(), result.merged()).tensors();
        for (int i = 0; i < gradients.length; i++) {
            assertThat(Tensors.shape(gradients[i])).isEqualTo(Tensors.shape(none.tensors()[i]));
            assertThat(gradients[i].count_nonzero().item_long()).isZero();
        }
    }
}

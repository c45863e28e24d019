package io.audiomamba.fused;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.audiomamba.Errors;
import io.audiomamba.Gpu;
import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import java.util.List;
import java.util.function.Function;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The fused operations against LibTorch's own in double precision, results and gradients. */
class FusedTest {

    private static final long SEED = 20261101;
    private static final double FLOAT32 = 2e-6;
    private static final double BFLOAT16 = 2e-2;

    private Device gpu;
    private PointerScope scope;
    private GradientTape tape;

    @BeforeEach
    void begin() {
        gpu = Gpu.orSkip();
        scope = new PointerScope();
        tape = new GradientTape();
        torch.manual_seed(SEED);
    }

    @AfterEach
    void end() {
        if (scope != null) {
            tape.close();
            scope.close();
        }
    }

    @ParameterizedTest
    @CsvSource({"1,3", "3,7", "5,16", "1000,48", "4099,96", "777,192", "130,384", "33,768", "9,1000", "5,1024",
            "70001,96"})
    void layerNormEqualsLibTorchs(int rows, int channels) {
        for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16, ScalarType.Half}) {
            compare(List.of(torch.randn(rows, channels).mul(new Scalar(3.0)).add(new Scalar(0.5)),
                    torch.randn(channels),
                    torch.randn(channels)), type,
                    in -> FusedLayerNorm.apply(in[0], null, in[1], in[2], 1e-5), FusedTest::layerNorm);
        }
    }

    @ParameterizedTest
    @CsvSource({"1,3", "1000,48", "4099,96", "33,768", "9,1000"})
    void layerNormOfShiftedEqualsLibTorchs(int rows, int channels) {
        for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16, ScalarType.Half}) {
            compare(List.of(torch.randn(rows, channels), torch.randn(channels), torch.randn(channels),
                    torch.randn(channels)), type, in -> FusedLayerNorm.apply(in[0], in[3], in[1], in[2], 1e-5),
                    in -> layerNorm(new Tensor[] {in[0].add(in[3]), in[1], in[2]}));
        }
    }

    private static Tensor layerNorm(Tensor[] in) {
        return torch.layer_norm(in[0], new long[] {in[0].size(-1)}, new TensorOptional(in[1]),
                new TensorOptional(in[2]), 1e-5, false);
    }

    @ParameterizedTest
    @CsvSource({"1,1,1,1", "2,3,5,7", "1,9,8,96", "2,1,17,33", "3,16,16,48", "1,33,20,192", "2,8,8,768"})
    void depthwiseSiluEqualsLibTorchs(int batch, int height, int width, int channels) {
        for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16, ScalarType.Half}) {
            List<Tensor> operands = List.of(torch.randn(batch, height, width, channels),
                    torch.randn(channels, 1, 3, 3).mul(new Scalar(0.5)), torch.randn(channels));
            compare(operands, type, in -> DepthwiseSilu.apply(in[0], in[1], in[2]),
                    in -> silu(in[0], in[1], new TensorOptional(in[2])));
            compare(operands.subList(0, 2), type, in -> DepthwiseSilu.apply(in[0], in[1], null),
                    in -> silu(in[0], in[1], new TensorOptional()));
        }
    }

    private static Tensor silu(Tensor x, Tensor weight, TensorOptional bias) {
        return torch.silu(torch.conv2d(x.permute(0, 3, 1, 2), weight, bias, new long[] {1, 1}, new long[] {1, 1},
                new long[] {1, 1}, x.size(3))).permute(0, 2, 3, 1);
    }

    /** The gated forms convolve the first half of wider tokens. */
    @Test
    void depthwiseSiluReadsAPartOfTheChannels() {
        compare(List.of(torch.randn(2, 6, 11, 80), torch.randn(40, 1, 3, 3)), ScalarType.Float,
                in -> DepthwiseSilu.apply(in[0].narrow(-1, 0, 40), in[1], null),
                in -> silu(in[0].narrow(-1, 0, 40), in[1], new TensorOptional()));
    }

    /** Neighbours of a single token in a row may be at any distance. */
    @Test
    void depthwiseSiluReadsTransposedColumns() {
        compare(List.of(torch.randn(2, 1, 9, 32), torch.randn(32, 1, 3, 3)), ScalarType.Float,
                in -> DepthwiseSilu.apply(in[0].transpose(1, 2), in[1], null),
                in -> silu(in[0].transpose(1, 2), in[1], new TensorOptional()));
    }

    /** Operands and gradients behind another number, where no whole vectors can be read. */
    @Test
    void tensorsMayBeginAnywhere() {
        for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16, ScalarType.Half}) {
            Tensor kept = torch.ones(3).to(gpu, type);
            compare(List.of(torch.randn(3, 5, 4, 16), torch.randn(16, 1, 3, 3)), type,
                    in -> moved(DepthwiseSilu.apply(moved(in[0]), in[1], null)),
                    in -> silu(in[0], in[1], new TensorOptional()));
            compare(List.of(torch.randn(40, 16), torch.randn(16), torch.randn(16)), type,
                    in -> moved(FusedLayerNorm.apply(moved(in[0]), null, in[1], in[2], 1e-5)), FusedTest::layerNorm);
            compare(List.of(torch.randn(3, 5, 4, 16), torch.randn(3, 5, 4, 16)), type,
                    in -> moved(Residual.apply(moved(in[0]), moved(in[1].to(type)), kept)), in -> in[0].add(in[1]));
            compare(List.of(torch.randn(40, 16), scaledNormal(32, 16), torch.randn(32), scaledNormal(8, 32),
                    torch.randn(8)), type,
                    x -> moved(FeedForward.apply(Input.of(moved(x[0])), x[1], x[2], x[3], x[4])),
                    x -> torch.linear(torch.gelu(torch.linear(x[0], x[1], new TensorOptional(x[2]))), x[3],
                            new TensorOptional(x[4])));
        }
    }

    private static Tensor moved(Tensor tensor) {
        return torch.cat(new TensorVector(tensor.new_zeros(1), tensor.flatten())).narrow(0, 1, tensor.numel())
                .view(Tensors.shape(tensor));
    }

    @ParameterizedTest
    @CsvSource({"1,3,5,2", "7,16,64,16", "1000,96,384,96", "4099,48,30,8", "33,768,3072,768"})
    void feedForwardEqualsLibTorchs(int rows, int in, int hidden, int out) {
        for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16, ScalarType.Half}) {
            compare(List.of(torch.randn(rows, in), scaledNormal(hidden, in), torch.randn(hidden),
                    scaledNormal(out, hidden), torch.randn(out)), type,
                    x -> FeedForward.apply(Input.of(x[0]), x[1], x[2], x[3], x[4]),
                    x -> torch.linear(torch.gelu(torch.linear(x[0], x[1], new TensorOptional(x[2]))), x[3],
                            new TensorOptional(x[4])));
        }
    }

    @ParameterizedTest
    @CsvSource({"7,20,5", "1000,96,384", "4099,48,30", "33,768,3072"})
    void whatReadsANormalisationComputesItAgain(int rows, int in, int out) {
        for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16, ScalarType.Half}) {
            List<Tensor> operands = List.of(torch.randn(rows, in), torch.randn(in), torch.randn(in),
                    scaledNormal(out, in), torch.randn(out), scaledNormal(in, out), torch.randn(in));
            compare(operands.subList(0, 4), type,
                    x -> FusedLinear.apply(FusedLayerNorm.again(x[0], x[1], x[2], 1e-5), x[3]),
                    x -> torch.linear(layerNorm(x), x[3]));
            compare(operands, type,
                    x -> FeedForward.apply(FusedLayerNorm.again(x[0], x[1], x[2], 1e-5), x[3], x[4], x[5], x[6]),
                    x -> torch.linear(torch.gelu(torch.linear(layerNorm(x), x[3], new TensorOptional(x[4]))), x[5],
                            new TensorOptional(x[6])));
        }
    }

    private static Tensor scaledNormal(long out, long in) {
        return torch.randn(out, in).mul(new Scalar(1 / Math.sqrt(in)));
    }

    @Test
    void geluEqualsLibTorchs() {
        for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16, ScalarType.Half}) {
            Tensor x = torch.cat(new TensorVector(torch.randn(999), Tensors.of(
                    new float[] {0, -0f, 30, -30, 5, -5, 1e-6f, -1e-6f, 6e4f, -6e4f, Float.POSITIVE_INFINITY}, 11)),
                    0).to(type);
            Tensor right = torch.gelu(x.to(ScalarType.Double));
            Tensor y = FeedForward.gelu(x.to(gpu, type)).cpu();
            assertThat(y.isnan().any().item_bool()).isFalse();
            assertThat(
                    torch.allclose(y.to(ScalarType.Double), right, type == ScalarType.Float ? 1e-6 : 1e-2, 5e-7, true))
                    .as("GELU in " + type).isTrue();
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1,1,1", "3,5,7,9", "4,16,16,48", "128,8,8,96", "2,3,1,20"})
    void residualEqualsLibTorchs(int batch, int height, int width, int channels) {
        Tensor kept = torch.bernoulli(torch.full(new long[] {batch}, new Scalar(0.7))).mul(new Scalar(1.25));
        for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16, ScalarType.Half}) {
            compare(List.of(torch.randn(batch, height, width, channels), torch.randn(batch, height, width, channels)),
                    type, in -> Residual.apply(in[0], in[1].to(type), kept.to(gpu, type)),
                    in -> in[0].add(in[1].mul(kept.view(-1, 1, 1, 1))));
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1,1,1,3,1,1,2", "2,7,9,3,3,2,1,5", "3,16,16,1,3,2,1,48", "2,13,8,3,4,4,0,96", "1,33,65,7,3,2,1,8"})
    void convolutionOfFewChannelsEqualsLibTorchs(int batch, int height, int width, int channels, int kernel, int stride,
            int padding, int out) {
        List<Tensor> operands = List.of(torch.randn(batch, channels, height, width),
                torch.randn(out, channels, kernel, kernel).mul(new Scalar(0.3)), torch.randn(out));
        for (ScalarType type : new ScalarType[] {ScalarType.Float, ScalarType.BFloat16, ScalarType.Half}) {
            compare(operands, type,
                    in -> Im2colConvolution.apply(in[0].permute(0, 2, 3, 1), in[1], in[2], stride, padding),
                    in -> torch.conv2d(in[0], in[1], new TensorOptional(in[2]), new long[] {stride, stride},
                            new long[] {padding, padding}, new long[] {1, 1}, 1).permute(0, 2, 3, 1));
        }
    }

    @Test
    void mixedPrecisionGivesBfloat16() {
        Tensor x = torch.randn(4, 96).to(gpu, ScalarType.Float);
        Tensor ones = torch.ones(96).to(gpu, ScalarType.Float);
        Tensor y = Autocast.bfloat16(() -> FusedLayerNorm.apply(x, null, ones, ones, 1e-5));
        assertThat(y.scalar_type().intern()).isEqualTo(ScalarType.BFloat16);
    }

    @Test
    void kernelsOnOneGpuLeaveAnotherCurrent() {
        assumeTrue(torch.cuda_device_count() > 1, "there is one CUDA device here");
        Tensor there = torch.ones(4, 8).to(new Device(DeviceType.CUDA, (byte) 1), ScalarType.Float);
        Tensor ones = there.select(0, 0);
        assertThat(FusedLayerNorm.apply(there, null, ones, ones, 1e-5).max().item_float()).isEqualTo(1);
        assertThat(torch.ones(8).to(new Device(DeviceType.CUDA), ScalarType.Float).device().index()).isZero();
    }

    /** The first operand in {@code type}, all others float32; the reference sees the same rounded numbers. */
    private void compare(List<Tensor> operands, ScalarType type, Function<Tensor[], Tensor> fused,
            Function<Tensor[], Tensor> reference) {
        Tensor[] actual = new Tensor[operands.size()];
        Tensor[] expected = new Tensor[operands.size()];
        for (int i = 0; i < actual.length; i++) {
            Tensor rounded = operands.get(i).to(i == 0 ? type : ScalarType.Float);
            actual[i] = rounded.to(gpu, rounded.scalar_type().intern()).detach().requires_grad_(true);
            expected[i] = rounded.to(ScalarType.Double).detach().requires_grad_(true);
        }
        double tolerance = type == ScalarType.Float ? FLOAT32 : BFLOAT16;
        // As in a model, whose layers free what they made on the way.
        Tensor y = Tensors.scoped(() -> fused.apply(actual));
        Tensor right = reference.apply(expected);
        Tensor gradient = torch.randn_like(right).to(type);
        assertThat(Errors.relative(y, right)).as("result in " + type).isLessThan(tolerance);
        y.backward(gradient.to(gpu, type), null, false, null);
        right.backward(gradient.to(ScalarType.Double), null, false, null);
        for (int i = 0; i < actual.length; i++) {
            assertThat(Errors.relative(actual[i].grad(), expected[i].grad())).as("gradient " + i + " in " + type)
                    .isLessThan(2 * tolerance);
        }
    }
}

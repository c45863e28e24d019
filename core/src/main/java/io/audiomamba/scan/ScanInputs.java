package io.audiomamba.scan;

import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The operands of the 2-D selective scan. B is the batch, H x W the token grid, D the channels, N the state size,
 * R the rank of the step size, and 4 the {@linkplain SelectiveScan2d directions}.
 *
 * @param tokens      u, (B, H, W, D)
 * @param projections what x_proj reads off each token for each direction: the low-rank step size, then the input
 *                    matrix B_t, then the output matrix C_t; (B, H, W, 4, R + 2 N)
 * @param dtWeight    W_dt, (4, D, R)
 * @param dtBias      b, (4, D)
 * @param aLogs       log(-A), (4 D, N)
 * @param skip        the skip connection D, (4 D)
 */
public record ScanInputs(Tensor tokens, Tensor projections, Tensor dtWeight, Tensor dtBias, Tensor aLogs,
        Tensor skip) {

    /** Number of scan directions. */
    public static final int DIRECTIONS = 4;

    /**
     * Checks every shape against the others.
     *
     * @throws IllegalArgumentException naming the operand that does not fit
     */
    public ScanInputs {
        long b = tokens.size(0);
        long h = tokens.size(1);
        long w = tokens.size(2);
        long d = tokens.size(3);
        long r = dtWeight.size(2);
        long n = aLogs.size(1);
        expect("projections", projections, b, h, w, DIRECTIONS, r + 2 * n);
        expect("dtWeight", dtWeight, DIRECTIONS, d, r);
        expect("dtBias", dtBias, DIRECTIONS, d);
        expect("aLogs", aLogs, DIRECTIONS * d, n);
        expect("skip", skip, DIRECTIONS * d);
    }

    private static void expect(String name, Tensor tensor, long... shape) {
        if (!Arrays.equals(Tensors.shape(tensor), shape)) {
            throw new IllegalArgumentException(name + " has shape " + Arrays.toString(Tensors.shape(tensor))
                    + ", not " + Arrays.toString(shape));
        }
    }

    /**
     * As a GPU's kernels read them: contiguous, where they can read whole vectors, tokens and projections in {@code type},
     * parameters in float32.
     */
    ScanInputs forKernels(ScalarType type) {
        Tensor[] result = tensors();
        for (int i = 0; i < result.length; i++) {
            result[i] = Tensors.aligned(result[i].to(i < 2 ? type : ScalarType.Float));
        }
        return of(result);
    }

    /** Each operand, contiguous, in the type that it has in {@code other}. */
    ScanInputs inTypesOf(ScanInputs other) {
        Tensor[] result = tensors();
        Tensor[] like = other.tensors();
        for (int i = 0; i < result.length; i++) {
            result[i] = result[i].to(like[i].scalar_type()).contiguous();
        }
        return of(result);
    }

    /** B. */
    public int batch() {
        return (int) tokens.size(0);
    }

    /** H. */
    public int height() {
        return (int) tokens.size(1);
    }

    /** W. */
    public int width() {
        return (int) tokens.size(2);
    }

    /** D. */
    public int channels() {
        return (int) tokens.size(3);
    }

    /** N. */
    public int stateSize() {
        return (int) aLogs.size(1);
    }

    /** R. */
    public int rank() {
        return (int) dtWeight.size(2);
    }

    /** The operands in the order of the record's components. */
    public Tensor[] tensors() {
        return new Tensor[] {tokens, projections, dtWeight, dtBias, aLogs, skip};
    }

    /** The same operands, each changed by {@code change}. */
    public ScanInputs map(UnaryOperator<Tensor> change) {
        return of(Arrays.stream(tensors()).map(change).toArray(Tensor[]::new));
    }

    /** The same operands on {@code device}: tokens and projections in {@code type}, parameters in float32. */
    public ScanInputs to(Device device, ScalarType type) {
        UnaryOperator<Tensor> parameter = tensor -> tensor.to(device, ScalarType.Float);
        return new ScanInputs(tokens.to(device, type), projections.to(device, type), parameter.apply(dtWeight),
                parameter.apply(dtBias), parameter.apply(aLogs), parameter.apply(skip));
    }

    /**
     * Float32 operands on the CPU of the size and spread that a trained model has, for tests and measurements; drawn
     * from LibTorch's global generator.
     *
     * @param rank      R
     * @param stateSize N
     */
    public static ScanInputs random(long batch, long height, long width, long channels, long rank, long stateSize) {
        Scalar half = new Scalar(0.5);
        Tensor states = torch.arange(new Scalar(1), new Scalar(stateSize + 1)).to(ScalarType.Float).log();
        return new ScanInputs(torch.randn(batch, height, width, channels),
                torch.randn(batch, height, width, DIRECTIONS, rank + 2 * stateSize),
                torch.randn(DIRECTIONS, channels, rank).mul(half),
                torch.rand(DIRECTIONS, channels).mul(new Scalar(2.3)).sub(new Scalar(4.6)),
                torch.randn(DIRECTIONS * channels, stateSize).mul(new Scalar(0.1)).add(states),
                torch.randn(DIRECTIONS * channels).mul(half).add(new Scalar(1)));
    }

    /** The inverse of {@link #tensors()}. */
    public static ScanInputs of(Tensor[] tensors) {
        return new ScanInputs(tensors[0], tensors[1], tensors[2], tensors[3], tensors[4], tensors[5]);
    }
}

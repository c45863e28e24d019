package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The scan as the formulas read, in LibTorch's own operations, with LibTorch's own gradients, in any floating type and
 * on any device: the oracle that the other kernels are tested against. It loops over time in Java and is slow.
 */
public final class TorchScan implements ScanKernel {

    @Override
    public String name() {
        return "torch";
    }

    @Override
    public boolean supports(Device device) {
        return true;
    }

    @Override
    public Result forward(ScanInputs in, boolean withBackward) {
        return new Result(merged(in), null);
    }

    private static Tensor merged(ScanInputs in) {
        Tensor sum = CrossScan.CROSS.merge(directions(in.map(TorchScan::widened)), in.height(), in.width());
        return sum.to(in.tokens().scalar_type()).contiguous();
    }

    /** States and sums have at least the precision of float32. */
    private static Tensor widened(Tensor operand) {
        return operand.element_size() < Float.BYTES ? operand.to(ScalarType.Float) : operand;
    }

    /**
     * The operands as the recurrence reads them, each in the order of its direction.
     *
     * @param u        (B, 4, L, D)
     * @param stepSize the step size's projection before bias and softplus, (B, 4, L, D)
     * @param b        (B, 4, L, N)
     * @param c        (B, 4, L, N)
     */
    public record Sequences(Tensor u, Tensor stepSize, Tensor b, Tensor c) {

        /** Reorders {@code in}. */
        public static Sequences of(ScanInputs in) {
            Tensor[] ordered = new Tensor[DIRECTIONS];
            for (int k = 0; k < DIRECTIONS; k++) {
                ordered[k] = CrossScan.CROSS.sequence(in.projections().select(3, k), k);
            }
            Tensor projections = torch.stack(new TensorVector(ordered), 1);
            Tensor lowRank = projections.narrow(3, 0, in.rank());
            return new Sequences(CrossScan.CROSS.scan(in.tokens()), lowRank.matmul(in.dtWeight().transpose(1, 2)),
                    projections.narrow(3, in.rank(), in.stateSize()),
                    projections.narrow(3, in.rank() + in.stateSize(), in.stateSize()));
        }
    }

    /** The four results before they are merged, each in the order of its direction, (B, 4, H W, D). */
    public static Tensor directions(ScanInputs in) {
        Sequences s = Sequences.of(in);
        Tensor dt = torch.softplus(s.stepSize().add(in.dtBias().unsqueeze(1)));
        Tensor a = in.aLogs().exp().neg().view(DIRECTIONS, in.channels(), in.stateSize());
        return recurrence(s.u(), dt, a, s.b(), s.c()).add(s.u().mul(in.skip().view(DIRECTIONS, 1, in.channels())));
    }

    /**
     * The recurrence without skip connection.
     *
     * @param u  (B, K, L, D)
     * @param dt (B, K, L, D), positive
     * @param a  (K, D, N), negative
     * @param b  (B, K, L, N)
     * @param c  (B, K, L, N)
     * @return y, (B, K, L, D)
     */
    private static Tensor recurrence(Tensor u, Tensor dt, Tensor a, Tensor b, Tensor c) {
        Tensor state = torch.zeros(
                new long[] {u.size(0), u.size(1), u.size(3), a.size(2)}, u.options());
        TensorVector outputs = new TensorVector();
        for (long t = 0; t < u.size(2); t++) {
            long now = t;
            Tensor before = state;
            Tensor after = Tensors.scoped(() -> {
                Tensor dtNow = dt.select(2, now).unsqueeze(-1);
                Tensor input = dtNow.mul(u.select(2, now).unsqueeze(-1)).mul(b.select(2, now).unsqueeze(2));
                return dtNow.mul(a).exp().mul(before).add(input);
            });
            outputs.push_back(Tensors.scoped(() -> after.mul(c.select(2, now).unsqueeze(2)).sum(-1)));
            state = after;
        }
        return torch.stack(outputs, 2);
    }

    @Override
    public ScanInputs backward(ScanInputs in, Tensor kept, Tensor gradMerged) {
        try (var _ = new AutoGradMode(true)) {
            Tensor[] leaves = in.tensors();
            for (int i = 0; i < leaves.length; i++) {
                leaves[i] = leaves[i].detach().requires_grad_(true);
            }
            TensorVector gradients = torch.grad(new TensorVector(merged(ScanInputs.of(leaves))),
                    new TensorVector(leaves), new TensorVector(gradMerged), new BoolOptional(), false, false);
            Tensor[] result = new Tensor[leaves.length];
            for (int i = 0; i < leaves.length; i++) {
                result[i] = gradients.get(i).contiguous();
            }
            return ScanInputs.of(result);
        }
    }
}

package io.audiomamba.golden;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import io.audiomamba.scan.CrossScan;
import io.audiomamba.scan.ScanInputs;
import io.audiomamba.scan.SelectiveScan2d;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** The scan by itself. */
final class ScanCases {

    private ScanCases() {}

    /** CrossScan and CrossMerge copy and add: exact. */
    static void crossScanMerge(GoldenCase golden) {
        Tensor x = golden.tensor("x").permute(0, 2, 3, 1);
        Tensor y = golden.tensor("y").flatten(3, 4).transpose(2, 3);
        Map<String, CrossScan> orders = Map.of("cross2d", CrossScan.CROSS, "unidi", CrossScan.UNIDIRECTIONAL, "bidi",
                CrossScan.BIDIRECTIONAL);
        for (String name : List.of("cross2d", "unidi", "bidi")) {
            golden.compare("scan." + name, orders.get(name).scan(x).transpose(2, 3), 0);
            Tensor merged = orders.get(name).merge(y, x.size(1), x.size(2));
            golden.compare("merge." + name, merged.flatten(1, 2).transpose(1, 2), 1e-7);
        }
    }

    /**
     * A one-dimensional scan in several groups, each with inputs of its own. The fused operation reads one grid in four
     * orders, so each group runs alone: its sequence is laid on a grid such that order k reads it, and the operands of
     * the other orders are 0.
     */
    static void selectiveScan(GoldenCase golden) {
        int groups = golden.number("directions");
        Leaf u = new Leaf(golden, "u");
        Leaf delta = new Leaf(golden, "delta");
        Leaf a = new Leaf(golden, "A");
        Leaf b = new Leaf(golden, "B");
        Leaf c = new Leaf(golden, "C");
        long channels = golden.number("channels");
        Leaf skip = golden.flag("with_D") ? new Leaf(golden, "D") : null;
        Leaf bias = golden.flag("with_delta_bias") ? new Leaf(golden, "delta_bias") : null;
        Tensor stepSize = golden.flag("delta_softplus") ? delta.tensor : inverseSoftplus(delta.tensor);
        Tensor none = torch.zeros(new long[] {groups * channels}, a.tensor.options());
        TensorVector outputs = new TensorVector();
        for (int k = 0; k < groups; k++) {
            long from = k * channels;
            outputs.push_back(group(golden, k % DIRECTIONS, u.tensor.narrow(1, from, channels).transpose(1, 2),
                    stepSize.narrow(1, from, channels).transpose(1, 2), a.tensor.narrow(0, from, channels),
                    b.tensor.select(1, k).transpose(1, 2), c.tensor.select(1, k).transpose(1, 2),
                    (skip == null ? none : skip.tensor).narrow(0, from, channels),
                    (bias == null ? none : bias.tensor).narrow(0, from, channels)));
        }
        Tensor out = torch.cat(outputs, 1);
        golden.compare(golden.has("out_f64") ? "out_f64" : "out", out, Tolerance.SCAN);
        if (golden.has("grad_out")) {
            out.backward(golden.tensor("grad_out").to(out.scalar_type()), null, false, null);
            for (Leaf leaf : new Leaf[] {u, delta, a, b, c, skip, bias}) {
                if (leaf != null) {
                    leaf.compareGradient();
                }
            }
        }
    }

    /** All (B, L, ...), to (B, D, L). */
    private static Tensor group(GoldenCase golden, int k, Tensor u, Tensor stepSize, Tensor a, Tensor b, Tensor c,
            Tensor skip, Tensor bias) {
        long length = u.size(1);
        long d = u.size(2);
        long height = (long) Math.sqrt(length);
        while (length % height != 0) {
            height--;
        }
        long width = length / height;
        Tensor projections = torch.cat(new TensorVector(stepSize, b, c), 2);
        Tensor identity = torch.eye(d).to(golden.device(), ScalarType.Float);
        ScanInputs inputs = new ScanInputs(golden.scanned(CrossScan.CROSS.grid(u, k, height, width)).contiguous(),
                golden.scanned(atDirection(CrossScan.CROSS.grid(projections, k, height, width), k, 3)),
                atDirection(identity, k, 0),
                atDirection(bias, k, 0), atDirection(a.neg().log(), k, 0).flatten(0, 1),
                atDirection(skip, k, 0).flatten(0, 1));
        Tensor merged = SelectiveScan2d.apply(golden.kernel(), inputs);
        return CrossScan.CROSS.sequence(merged, k).transpose(1, 2);
    }

    /** {@code operand} at position {@code k} of a new dimension of length 4, zeros elsewhere. */
    private static Tensor atDirection(Tensor operand, int k, long dimension) {
        Tensor zeros = torch.zeros_like(operand);
        Tensor[] all = {zeros, zeros, zeros, zeros};
        all[k] = operand;
        return torch.stack(new TensorVector(all), dimension);
    }

    /** In double precision: x = d + log(1 - exp(-d)). A step size of 0 becomes one that is too small to matter. */
    private static Tensor inverseSoftplus(Tensor positive) {
        Tensor d = positive.to(ScalarType.Double).clamp(new org.bytedeco.pytorch.ScalarOptional(new Scalar(1e-30)));
        return d.add(d.neg().expm1().neg().log()).to(ScalarType.Float);
    }

    /** An operand whose gradient is wanted. */
    private static final class Leaf {

        private final GoldenCase golden;
        private final String name;
        private final Tensor tensor;

        Leaf(GoldenCase golden, String name) {
            this.golden = golden;
            this.name = name;
            this.tensor = golden.tensor(name).requires_grad_(true);
        }

        void compareGradient() {
            String reference = golden.has("grad_f64." + name) ? "grad_f64." + name : "grad." + name;
            golden.compare(reference, tensor.grad(), Tolerance.SCAN_GRADIENT);
        }
    }
}

package io.audiomamba.fused;

import io.audiomamba.torch.GradientTape;
import org.bytedeco.pytorch.Tensor;

/**
 * What an operation reads: a tensor, which it keeps for the backward pass, or one that it computes again there from others
 * which are kept anyway. What a {@linkplain FusedLayerNorm layer normalisation} gives is read by one linear layer: not to
 * keep it saves a tenth of a training step's memory for a second pass over it.
 */
public interface Input {

    /** Computed anew at each call, without a gradient. */
    Tensor value();

    /** What it is computed from. */
    Tensor[] sources();

    /**
     * @param gradValue dL/dvalue, in the shape of the value and any type
     * @return dL/dsource for every source, in order
     */
    Tensor[] gradients(Tensor gradValue);

    /** The value as a node of the graph, which lives as long as LibTorch wants it to. */
    default Tensor tensor() {
        return GradientTape.differentiable(value(), sources(), sources(), this::gradients);
    }

    /** A tensor that is there, and stays. */
    static Input of(Tensor x) {
        return new Kept(x);
    }

    /** See {@link #of}. */
    record Kept(Tensor value) implements Input {
        @Override
        public Tensor[] sources() {
            return new Tensor[] {value};
        }

        @Override
        public Tensor[] gradients(Tensor gradValue) {
            return new Tensor[] {gradValue.to(value.scalar_type())};
        }

        @Override
        public Tensor tensor() {
            return value;
        }
    }
}

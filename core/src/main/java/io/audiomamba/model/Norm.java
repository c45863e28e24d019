package io.audiomamba.model;

import io.audiomamba.fused.FusedLayerNorm;
import io.audiomamba.fused.Input;
import io.audiomamba.torch.GradientTape;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** A normalisation of the channels, the last dimension. */
sealed interface Norm {

    double EPSILON = 1e-5;

    /** Keeps the shape. */
    default Tensor forward(Tensor x, Pass pass) {
        return forward(x, null, pass);
    }

    /** Of {@code x} and a {@code shift} (C), unless that is null, together. */
    Tensor forward(Tensor x, Tensor shift, Pass pass);

    /** What {@link #forward} gives, for an operation that can do without its being kept. */
    default Input input(Tensor x, Pass pass) {
        return Input.of(forward(x, pass));
    }

    private static Tensor shifted(Tensor x, Tensor shift) {
        return shift == null ? x : x.add(shift.to(x.scalar_type()));
    }

    /** The normalisation that {@code kind} names. */
    static Norm of(ModelConfig.Normalization kind, Parameters.Scope scope, long channels) {
        return switch (kind) {
            case LN, LN2D -> new Layer(scope, channels);
            case BN -> new Batch(scope, channels);
        };
    }

    /** Over the channels of each token (Ba et al. 2016). */
    final class Layer implements Norm {

        private final Tensor weight;
        private final Tensor bias;

        Layer(Parameters.Scope scope, long channels) {
            weight = scope.parameter("weight", Initializer.ONES, channels);
            bias = scope.parameter("bias", Initializer.ZEROS, channels);
        }

        @Override
        public Tensor forward(Tensor x, Tensor shift, Pass pass) {
            return FusedLayerNorm.supports(x)
                    ? FusedLayerNorm.apply(x, shift, weight, bias, EPSILON)
                    : torch.layer_norm(shifted(x, shift), new long[] {weight.size(0)}, new TensorOptional(weight),
                            new TensorOptional(bias), EPSILON, false);
        }

        @Override
        public Input input(Tensor x, Pass pass) {
            return FusedLayerNorm.supports(x) && GradientTape.isNeededFor(new Tensor[] {x, weight, bias})
                    ? FusedLayerNorm.again(x, weight, bias, EPSILON)
                    : Norm.super.input(x, pass);
        }
    }

    /** Of each channel over the batch (Ioffe and Szegedy 2015), by running statistics outside training. */
    final class Batch implements Norm {

        private static final double MOMENTUM = 0.1;

        private final Tensor weight;
        private final Tensor bias;
        private final Tensor mean;
        private final Tensor variance;
        private final Tensor batches;

        Batch(Parameters.Scope scope, long channels) {
            weight = scope.parameter("weight", Initializer.ONES, channels);
            bias = scope.parameter("bias", Initializer.ZEROS, channels);
            mean = scope.buffer("running_mean", Initializer.ZEROS, channels);
            variance = scope.buffer("running_var", Initializer.ONES, channels);
            batches = scope.buffer("num_batches_tracked", Initializer.ZEROS);
        }

        @Override
        public Tensor forward(Tensor x, Tensor shift, Pass pass) {
            if (pass.training()) {
                batches.add_(new Scalar(1));
            }
            // LibTorch wants the channels second.
            Tensor normalised = torch.batch_norm(shifted(x, shift).transpose(1, -1), new TensorOptional(weight),
                    new TensorOptional(bias), new TensorOptional(mean), new TensorOptional(variance), pass.training(),
                    MOMENTUM, EPSILON, false);
            return normalised.transpose(1, -1).contiguous();
        }
    }
}

package io.audiomamba.model;

import io.audiomamba.fused.FusedLayerNorm;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** A normalisation of the channels, the last dimension. */
sealed interface Norm {

    double EPSILON = 1e-5;

    /** Keeps the shape. */
    Tensor forward(Tensor x, Pass pass);

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
        public Tensor forward(Tensor x, Pass pass) {
            return FusedLayerNorm.supports(x)
                    ? FusedLayerNorm.apply(x, weight, bias, EPSILON)
                    : torch.layer_norm(x, new long[] {weight.size(0)}, new TensorOptional(weight),
                            new TensorOptional(bias), EPSILON, false);
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
        public Tensor forward(Tensor x, Pass pass) {
            if (pass.training()) {
                batches.add_(new Scalar(1));
            }
            // LibTorch wants the channels second.
            Tensor normalised = torch.batch_norm(x.transpose(1, -1), new TensorOptional(weight),
                    new TensorOptional(bias), new TensorOptional(mean), new TensorOptional(variance), pass.training(),
                    MOMENTUM, EPSILON, false);
            return normalised.transpose(1, -1).contiguous();
        }
    }
}

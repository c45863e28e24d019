package io.audiomamba.train;

import io.audiomamba.torch.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Adam with decoupled weight decay (Loshchilov and Hutter 2019) and clipping of the gradient's norm. */
public final class AdamW implements AutoCloseable {

    private static final double EPSILON = 1e-8;

    private final Recipe.Optimizer recipe;
    private final FlatParameters parameters;
    private final Tensor mean;
    private final Tensor square;
    private long steps;

    /** For {@code parameters}, which must outlive this. */
    public AdamW(Recipe.Optimizer recipe, FlatParameters parameters) {
        this.recipe = recipe;
        this.parameters = parameters;
        mean = Tensors.permanent(torch.zeros_like(parameters.values()));
        square = Tensors.permanent(torch.zeros_like(parameters.values()));
    }

    /** The moving averages of the gradients and of their squares, to be saved and restored. */
    Tensor[] state() {
        return new Tensor[] {mean, square};
    }

    /** After how many steps training goes on. */
    void resumeAt(long step) {
        steps = step;
    }

    long steps() {
        return steps;
    }

    /**
     * One step with the gradients that have gathered, which are then zeroed.
     *
     * @return the norm of the gradients before clipping; if it is not finite, nothing was changed
     */
    public double step(double learningRate) {
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            Tensor gradient = parameters.gradients();
            double norm = gradient.norm().item_float();
            if (!Double.isFinite(norm)) {
                return norm;
            }
            if (recipe.clipNorm() > 0 && norm > recipe.clipNorm()) {
                gradient.mul_(new Scalar(recipe.clipNorm() / (norm + 1e-6)));
            }
            steps++;
            decay(learningRate * recipe.weightDecay());
            mean.lerp_(gradient, new Scalar(1 - recipe.beta1()));
            square.mul_(new Scalar(recipe.beta2())).addcmul_(gradient, gradient, new Scalar(1 - recipe.beta2()));
            double correction = Math.sqrt(1 - Math.pow(recipe.beta2(), steps));
            Tensor scale = square.sqrt().div_(new Scalar(correction)).add_(new Scalar(EPSILON));
            Tensor direction = parameters.rates() == null ? mean : mean.mul(parameters.rates());
            parameters.values().addcdiv_(direction, scale,
                    new Scalar(-learningRate / (1 - Math.pow(recipe.beta1(), steps))));
            gradient.zero_();
            return norm;
        }
    }

    private void decay(double share) {
        Tensor decaying = parameters.values().narrow(0, 0, parameters.decayed());
        if (parameters.rates() == null) {
            decaying.mul_(new Scalar(1 - share));
        } else {
            decaying.addcmul_(decaying, parameters.rates().narrow(0, 0, parameters.decayed()), new Scalar(-share));
        }
    }

    @Override
    public void close() {
        mean.releaseReference();
        square.releaseReference();
    }
}

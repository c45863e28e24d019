package io.audiomamba.train;

import io.audiomamba.torch.Tensors;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * Averages of a model's weights over time, which generalise better than the weights of any moment: a moving one over the
 * steps, and the plain mean of what that is after each of the last epochs (Izmailov et al. 2018). The recipe says which
 * of them there are.
 */
final class WeightAverages implements AutoCloseable {

    private final Recipe.Train recipe;
    private final Tensor values;
    private final Tensor moving;
    private final Tensor mean;
    private int averaged;

    /** @param values the weights, which others change */
    WeightAverages(Recipe.Train recipe, Tensor values) {
        this.recipe = recipe;
        this.values = values;
        try (var _ = new NoGradGuard()) {
            moving = recipe.ema() > 0 ? Tensors.permanent(values.clone()) : null;
            mean = recipe.averageLast() > 0 ? Tensors.permanent(values.clone()) : null;
        }
    }

    /** To be called after each step; the moving average is quicker in the first ones, when it still holds random values. */
    void afterStep(long steps) {
        if (moving != null) {
            double decay = Math.min(recipe.ema(), (1.0 + steps) / (10.0 + steps));
            try (var _ = new NoGradGuard()) {
                moving.lerp_(values, new Scalar(1 - decay));
            }
        }
    }

    /** To be called after each epoch, counted from 1. */
    void afterEpoch(int epoch) {
        resumeAt(epoch);
        if (averaged > 0) {
            try (var _ = new NoGradGuard()) {
                mean.lerp_(moving == null ? values : moving, new Scalar(1.0 / averaged));
            }
        }
    }

    /** After how many epochs training goes on. */
    void resumeAt(int epochs) {
        int last = Math.min(recipe.averageLast(), recipe.epochs());
        averaged = Math.clamp(epochs - recipe.epochs() + last, 0, last);
    }

    /** Runs {@code body} while the model has its averaged weights. */
    void during(Runnable body) {
        Tensor average = averaged > 0 ? mean : moving;
        if (average == null) {
            body.run();
            return;
        }
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            Tensor kept = values.clone();
            values.copy_(average);
            try {
                body.run();
            } finally {
                values.copy_(kept);
            }
        }
    }

    /** What is to be saved and restored, by name. */
    Map<String, Tensor> state() {
        Map<String, Tensor> state = new LinkedHashMap<>();
        if (moving != null) {
            state.put("average", moving);
        }
        if (mean != null) {
            state.put("epoch_average", mean);
        }
        return state;
    }

    @Override
    public void close() {
        state().values().forEach(Tensor::releaseReference);
    }
}

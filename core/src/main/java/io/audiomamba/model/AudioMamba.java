package io.audiomamba.model;

import java.util.random.RandomGenerator;
import org.bytedeco.pytorch.Tensor;

/**
 * The model: an {@link InputStage}, {@linkplain Backbone VMamba} and a {@link Head}.
 *
 * <p>It holds no state of a pass; several threads may run it at once outside training.
 */
public final class AudioMamba {

    private final InputStage input;
    private final Backbone backbone;
    private final Head head;

    /** Declares every tensor of the model in {@code parameters}, which must outlive it. */
    public AudioMamba(ModelConfig config, Parameters parameters) {
        this.input = InputStage.of(parameters.root(), config);
        this.backbone = new Backbone(parameters.root(), config);
        this.head = Head.of(parameters.root(), config);
    }

    /**
     * Draws for drop path, also called stochastic depth (Huang et al. 2016), which residual branches of which samples
     * are left out of a pass.
     *
     * @return by what each branch is multiplied, (branches, B), on the CPU: 0, or 1 / (1 - rate), so that the mean stays
     */
    public Tensor dropPath(int batch, RandomGenerator random) {
        return backbone.dropPath(batch, random);
    }

    /**
     * @param features what the model's front end gives, (B, frames, bins); (B, channels, H, W) for a model of images
     * @return logits
     */
    public Head.Output forward(Tensor features, Pass pass) {
        return head.forward(backbone.forward(input.forward(features, pass), pass), pass);
    }
}

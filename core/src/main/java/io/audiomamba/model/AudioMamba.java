package io.audiomamba.model;

import org.bytedeco.pytorch.Tensor;

/**
 * The model: an {@link InputStage}, {@linkplain Backbone VMamba} and a {@link Head}.
 *
 * <p>It holds no state of a pass; several threads may run it at once outside training.
 */
public final class AudioMamba {

    private final ModelConfig config;
    private final InputStage input;
    private final Backbone backbone;
    private final Head head;

    /** Declares every tensor of the model in {@code parameters}, which must outlive it. */
    public AudioMamba(ModelConfig config, Parameters parameters) {
        this.config = config;
        this.input = InputStage.of(parameters.root(), config);
        this.backbone = new Backbone(parameters.root(), config);
        this.head = Head.of(parameters.root(), config);
    }

    public ModelConfig config() {
        return config;
    }

    /**
     * @param features what the model's front end gives, (B, frames, bins); (B, channels, H, W) for a model of images
     * @return logits
     */
    public Head.Output forward(Tensor features, Pass pass) {
        return head.forward(backbone.forward(input.forward(features, pass), pass), pass);
    }
}

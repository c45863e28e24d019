package io.audiomamba.model;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** Turns the backbone's tokens into scores. */
public sealed interface Head {

    /**
     * What a head says; all scores are logits.
     *
     * @param clip   of the whole clip, (B, classes)
     * @param frames of each time step, (B, steps, classes), or null where the head has no notion of time
     * @param latent the embedding that the scores were read off, (B, width)
     */
    record Output(Tensor clip, Tensor frames, Tensor latent) {}

    /** @param tokens (B, H, W, C) */
    Output forward(Tensor tokens, Pass pass);

    /** @param scope the model's root: heads carry their official names */
    static Head of(Parameters.Scope scope, ModelConfig config) {
        return switch (config.head()) {
            case LINEAR -> new Linear(scope.child("classifier"), config);
            case TOKEN_SEMANTIC -> new TokenSemantic(scope, config);
        };
    }

    /** VMamba's and DASS's: normalisation, mean over the grid, one linear layer. */
    final class Linear implements Head {

        private final Norm norm;
        private final io.audiomamba.model.Linear head;

        Linear(Parameters.Scope scope, ModelConfig config) {
            norm = Norm.of(config.normalization(), scope.child("norm"), config.lastWidth());
            head = new io.audiomamba.model.Linear(scope.child("head"), config.lastWidth(), config.classes(), true);
        }

        @Override
        public Output forward(Tensor tokens, Pass pass) {
            Tensor normalised = pass.show("classifier.norm", norm.forward(tokens, pass));
            Tensor pooled = pass.show("pooled", normalised.mean(1, 2));
            return new Output(head.forward(pooled), null, pooled);
        }
    }

    /**
     * HTS-AT's token-semantic module (Chen et al. 2022, section 2.2). The grid's rows hold the frequencies of all
     * {@value #WINDOWS} windows that the spectrogram was cut into: they are regrouped so that time runs through, and a
     * convolution over all frequencies and three steps maps the tokens to classes.
     */
    final class TokenSemantic implements Head {

        /** How many pieces of the spectrogram are stacked in one image. */
        public static final int WINDOWS = 4;
        private static final int IMAGE_ROWS = 256;

        private final Norm norm;
        private final Tensor weight;
        private final Tensor bias;

        /** @param scope where {@code norm}, {@code tscam_conv} and {@code head} are */
        public TokenSemantic(Parameters.Scope scope, ModelConfig config) {
            long width = config.lastWidth();
            long classes = config.classes();
            long rows = IMAGE_ROWS / (4L << (config.depths().size() - 1)) / WINDOWS;
            norm = new Norm.Layer(scope.child("norm"), width);
            Parameters.Scope convolution = scope.child("tscam_conv");
            Initializer uniform = Initializer.uniform(width * rows * 3);
            weight = convolution.parameter("weight", uniform, classes, width, rows, 3);
            bias = convolution.parameter("bias", uniform, classes);
            // HTS-AT's checkpoints hold this layer, and its published size counts it; nothing reads it.
            new io.audiomamba.model.Linear(scope.child("head"), classes, classes, true);
        }

        @Override
        public Output forward(Tensor tokens, Pass pass) {
            Tensor normalised = norm.forward(tokens, pass);
            Tensor grouped = pass.show("grouped", group(normalised));
            Tensor frames = torch.conv2d(grouped, weight, new TensorOptional(bias), new long[] {1, 1},
                    new long[] {0, 1}, new long[] {1, 1}, 1);
            pass.show("conv", frames);
            Tensor steps = frames.squeeze(2).transpose(1, 2);
            return new Output(steps.mean(1), steps, grouped.mean(2, 3));
        }

        /** (B, windows x rows, T, C) to (B, C, rows, windows x T). */
        private static Tensor group(Tensor tokens) {
            return tokens.unflatten(1, WINDOWS, tokens.size(1) / WINDOWS).permute(0, 4, 2, 1, 3).flatten(3, 4);
        }
    }
}

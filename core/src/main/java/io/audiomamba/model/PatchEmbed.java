package io.audiomamba.model;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Turns an image into tokens, one for each 4 x 4 patch. The layers' names are their places in the official list. */
sealed interface PatchEmbed {

    /** (B, H, W, in) to (B, H / 4, W / 4, C). */
    Tensor forward(Tensor image, Pass pass);

    static PatchEmbed of(Parameters.Scope scope, ModelConfig config) {
        return switch (config.patchEmbedding()) {
            case V1 -> new SingleConvolution(scope, config);
            case V2 -> new TwoConvolutions(scope, config);
        };
    }

    /** One convolution over patches that do not overlap. */
    final class SingleConvolution implements PatchEmbed {

        private final Conv2d convolution;
        private final Norm norm;

        SingleConvolution(Parameters.Scope scope, ModelConfig config) {
            long channels = config.width(0);
            convolution = new Conv2d(scope.child("0"), config.inChannels(), channels, new Conv2d.Window(4, 4, 0));
            norm = Norm.of(config.normalization(), scope.child("2"), channels);
        }

        @Override
        public Tensor forward(Tensor image, Pass pass) {
            return convolution.forward(image, norm, pass);
        }
    }

    /** Two overlapping convolutions that halve the grid each, with GELU between them. */
    final class TwoConvolutions implements PatchEmbed {

        private final Conv2d first;
        private final Norm firstNorm;
        private final Conv2d second;
        private final Norm secondNorm;

        TwoConvolutions(Parameters.Scope scope, ModelConfig config) {
            Conv2d.Window halving = new Conv2d.Window(3, 2, 1);
            long channels = config.width(0);
            first = new Conv2d(scope.child("0"), config.inChannels(), channels / 2, halving);
            firstNorm = Norm.of(config.normalization(), scope.child("2"), channels / 2);
            second = new Conv2d(scope.child("5"), channels / 2, channels, halving);
            secondNorm = Norm.of(config.normalization(), scope.child("7"), channels);
        }

        @Override
        public Tensor forward(Tensor image, Pass pass) {
            Tensor half = torch.gelu(first.forward(image, firstNorm, pass));
            return second.forward(half, secondNorm, pass);
        }
    }
}

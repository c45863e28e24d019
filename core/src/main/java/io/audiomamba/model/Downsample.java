package io.audiomamba.model;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Halves the grid between two stages and widens the tokens. */
sealed interface Downsample {

    /** (B, H, W, in) to (B, about H / 2, about W / 2, out). */
    Tensor forward(Tensor x, Pass pass);

    static Downsample of(Parameters.Scope scope, ModelConfig config, long in, long out) {
        return switch (config.downsampling()) {
            case V1 -> new PatchMerging(scope, config, in, out);
            case V2 -> new Convolution(scope, config, in, out, new Conv2d.Window(2, 2, 0));
            case V3 -> new Convolution(scope, config, in, out, new Conv2d.Window(3, 2, 1));
        };
    }

    /** Swin's patch merging: 2 x 2 tokens side by side, normalised and projected; odd grids are padded with zeros. */
    final class PatchMerging implements Downsample {

        private final Linear reduction;
        private final Norm norm;

        PatchMerging(Parameters.Scope scope, ModelConfig config, long in, long out) {
            reduction = new Linear(scope.child("reduction"), 4 * in, out, false);
            norm = Norm.of(config.normalization(), scope.child("norm"), 4 * in);
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            long oddRows = x.size(1) % 2;
            long oddColumns = x.size(2) % 2;
            Tensor even = oddRows + oddColumns == 0
                    ? x
                    : torch.constant_pad_nd(x, 0, 0, 0, oddColumns, 0, oddRows);
            // (B, H/2, row, W/2, column, C): the official order of the four tokens runs down the columns.
            Tensor quads = even.unflatten(2, -1, 2).unflatten(1, -1, 2).permute(0, 1, 3, 4, 2, 5).flatten(3, 5);
            return reduction.forward(norm.forward(quads, pass));
        }
    }

    /** A strided convolution and a normalisation. */
    final class Convolution implements Downsample {

        private final Conv2d convolution;
        private final Norm norm;

        Convolution(Parameters.Scope scope, ModelConfig config, long in, long out, Conv2d.Window window) {
            convolution = new Conv2d(scope.child("1"), in, out, window);
            norm = Norm.of(config.normalization(), scope.child("3"), out);
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            return convolution.forward(x, norm, pass);
        }
    }
}

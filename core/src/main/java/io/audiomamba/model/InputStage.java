package io.audiomamba.model;

import io.audiomamba.error.ConfigurationException;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** What lies between a front end and the backbone. */
public sealed interface InputStage {

    /**
     * @param features what the front end gives: (B, frames, bins), or an image (B, channels, H, W)
     * @return (B, channels, H, W)
     */
    Tensor forward(Tensor features, Pass pass);

    /** @param scope the model's root, where HTS-AT keeps {@code bn0} */
    static InputStage of(Parameters.Scope scope, ModelConfig config) {
        return switch (config.input()) {
            case IMAGE -> new Image();
            case FILTER_BANK -> new FilterBank();
            case LOG_MEL -> new LogMel(scope);
            case FOLDED_LOG_MEL -> new FoldedLogMel(scope);
        };
    }

    /** An image is taken as it is. */
    final class Image implements InputStage {
        @Override
        public Tensor forward(Tensor features, Pass pass) {
            return features;
        }
    }

    /** DASS: frequencies down, time along. */
    final class FilterBank implements InputStage {
        @Override
        public Tensor forward(Tensor features, Pass pass) {
            return features.transpose(1, 2).unsqueeze(1);
        }
    }

    /** Log-mel bins normalised over the batch, frequencies down, time along, at any length. */
    final class LogMel implements InputStage {

        private final Norm bn0;

        LogMel(Parameters.Scope scope) {
            bn0 = new Norm.Batch(scope.child("bn0"), MEL_BINS);
        }

        @Override
        public Tensor forward(Tensor features, Pass pass) {
            return bn0.forward(features, pass).transpose(1, 2).unsqueeze(1);
        }
    }

    /** HTS-AT: log-mel bins normalised over the batch and {@linkplain #fold folded} to a square image. */
    final class FoldedLogMel implements InputStage {

        private final Norm bn0;

        /** @param scope where {@code bn0} is */
        public FoldedLogMel(Parameters.Scope scope) {
            bn0 = new Norm.Batch(scope.child("bn0"), MEL_BINS);
        }

        @Override
        public Tensor forward(Tensor features, Pass pass) {
            return fold(bn0.forward(features, pass));
        }
    }

    /** Mel bins of the log-mel front end. */
    int MEL_BINS = 64;
    /** Frames that a folded spectrogram is stretched to. */
    int FOLDED_FRAMES = 1024;

    /**
     * Stretches a spectrogram to 1,024 frames by bicubic interpolation, cuts it along time into four windows and stacks
     * them along frequency, so that a patch's neighbours are near in time and frequency (HTS-AT, section 2.1).
     *
     * @param spectrogram (B, frames, bins), at most 1,024 frames
     * @return (B, 1, 4 bins, 256)
     */
    static Tensor fold(Tensor spectrogram) {
        long frames = spectrogram.size(1);
        long bins = spectrogram.size(2);
        if (frames > FOLDED_FRAMES) {
            throw new ConfigurationException("A folded spectrogram holds at most " + FOLDED_FRAMES + " frames, not "
                    + frames + ": cut the sound into windows of 10 s.");
        }
        Tensor image = spectrogram.unsqueeze(1);
        Tensor stretched = frames == FOLDED_FRAMES
                ? image
                : torch.upsample_bicubic2d(image, new long[] {FOLDED_FRAMES, bins}, true, new DoubleOptional(),
                        new DoubleOptional());
        int windows = Head.TokenSemantic.WINDOWS;
        return stretched.transpose(2, 3).unflatten(3, windows, FOLDED_FRAMES / windows).permute(0, 1, 3, 2, 4)
                .flatten(2, 3);
    }
}

package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;

import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.frontend.KaldiFbank;
import io.audiomamba.frontend.LogMel;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.util.Random;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;

class ImageAugmentationTest {

    private static final int FRAMES = 50;
    private static final int BINS = 12;

    /** Three images of different constants, changed. */
    private static float[][][] apply(long seed, String... settings) {
        return apply(LogMel.NAME, seed, settings);
    }

    private static float[][][] apply(String frontEnd, long seed, String... settings) {
        float[] values = new float[3 * FRAMES * BINS];
        for (int i = 0; i < values.length; i++) {
            values[i] = 1 + i / (FRAMES * BINS);
        }
        try (var _ = new PointerScope()) {
            Tensor out = new ImageAugmentation(TinyTraining.recipe(settings).augment(),
                    FrontEnd.named(frontEnd, Devices.cpu()))
                    .apply(Tensors.of(values, 3, FRAMES, BINS), new Random(seed));
            assertThat(Tensors.shape(out)).containsExactly(3, FRAMES, BINS);
            float[] flat = Tensors.toFloats(out);
            float[][][] images = new float[3][FRAMES][BINS];
            for (int i = 0; i < flat.length; i++) {
                images[i / (FRAMES * BINS)][i / BINS % FRAMES][i % BINS] = flat[i];
            }
            return images;
        }
    }

    @Test
    void nothingIsChangedByNothing() {
        float[][][] images = apply(1, "augment.time_masks=0", "augment.frequency_masks=0");
        for (int b = 0; b < 3; b++) {
            for (float[] frame : images[b]) {
                assertThat(frame).containsOnly(1 + b);
            }
        }
    }

    /** Stripes hold the mean of the batch, 2; images 1 and 3 show them. */
    @Test
    void stripesAreAsManyAndAsWideAsTheRecipeAllows() {
        int widest = 0;
        for (int seed = 0; seed < 50; seed++) {
            float[][][] images = apply(seed, "augment.time_masks=1", "augment.time_mask_frames=8",
                    "augment.frequency_masks=1", "augment.frequency_mask_bins=3");
            for (int b : new int[] {0, 2}) {
                boolean[] frames = new boolean[FRAMES];
                boolean[] bins = new boolean[BINS];
                java.util.Arrays.fill(frames, true);
                java.util.Arrays.fill(bins, true);
                for (int t = 0; t < FRAMES; t++) {
                    for (int f = 0; f < BINS; f++) {
                        assertThat(images[b][t][f]).isIn(1f + b, 2f);
                        frames[t] &= images[b][t][f] == 2;
                        bins[f] &= images[b][t][f] == 2;
                    }
                }
                int masked = run(frames);
                widest = Math.max(widest, masked);
                assertThat(masked).isLessThanOrEqualTo(8);
                assertThat(run(bins)).isLessThanOrEqualTo(3);
            }
        }
        assertThat(widest).isEqualTo(8);
    }

    /** The length of the only run of trues. */
    private static int run(boolean[] values) {
        int length = 0;
        int runs = 0;
        for (int i = 0; i < values.length; i++) {
            length += values[i] ? 1 : 0;
            runs += values[i] && (i == 0 || !values[i - 1]) ? 1 : 0;
        }
        assertThat(runs).isLessThanOrEqualTo(1);
        return length;
    }

    @Test
    void filtersAreSmoothBoundedAndOneAClip() {
        float[][][] images = apply(3, "augment.time_masks=0", "augment.frequency_masks=0", "augment.filter_db=6.0");
        for (int b = 0; b < 3; b++) {
            for (int t = 0; t < FRAMES; t++) {
                assertThat(images[b][t]).containsExactly(images[b][0], org.assertj.core.api.Assertions.within(1e-6f));
                for (int f = 0; f < BINS; f++) {
                    assertThat(images[b][t][f] - 1 - b).isBetween(-6.001f, 6.001f);
                }
            }
        }
        assertThat(images[0][0][0] - 1).isNotEqualTo(images[1][0][0] - 2);
    }

    @Test
    void filtersAreInDecibelsWhateverAnImageIsIn() {
        String[] onlyFilters = {"augment.time_masks=0", "augment.frequency_masks=0", "augment.filter_db=6.0"};
        float[] decibels = apply(LogMel.NAME, 1, onlyFilters)[0][0];
        float[] normalised = apply(KaldiFbank.REPEATING, 1, onlyFilters)[0][0];
        float perDecibel = (float) (Math.log(10) / 10 / (2 * 4.5689974));
        for (int f = 0; f < BINS; f++) {
            assertThat(normalised[f] - 1).isCloseTo((decibels[f] - 1) * perDecibel,
                    org.assertj.core.api.Assertions.within(1e-5f));
        }
        assertThat(decibels[0]).as("filtered").isNotCloseTo(1f, org.assertj.core.api.Assertions.within(0.1f));
    }
}

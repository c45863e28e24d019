package io.audiomamba.train;

import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.random.RandomGenerator;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;

/** Changes a batch of log-mel spectrograms at random. */
final class ImageAugmentation {

    /** Turning points of a random filter. */
    private static final int KNOTS = 4;

    private final Recipe.Augment recipe;
    private final double perDecibel;

    /** @param frontEnd that the images are of */
    ImageAugmentation(Recipe.Augment recipe, FrontEnd frontEnd) {
        this.recipe = recipe;
        this.perDecibel = frontEnd.perDecibel();
    }

    /** Changes {@code images}, (B, frames, bins). */
    Tensor apply(Tensor images, RandomGenerator random) {
        return masked(filtered(images, random), random);
    }

    /** A smooth random gain over frequency, another for each clip (after Nam et al. 2022, FilterAugment). */
    private Tensor filtered(Tensor images, RandomGenerator random) {
        if (recipe.filterDb() == 0) {
            return images;
        }
        int batch = (int) images.size(0);
        int bins = (int) images.size(2);
        float[] gains = new float[batch * bins];
        for (int b = 0; b < batch; b++) {
            double[] knots = random.doubles(KNOTS, -recipe.filterDb(), recipe.filterDb()).toArray();
            for (int bin = 0; bin < bins; bin++) {
                double position = (double) bin * (KNOTS - 1) / bins;
                int knot = (int) position;
                double decibels = knots[knot] + (position - knot) * (knots[knot + 1] - knots[knot]);
                gains[b * bins + bin] = (float) (perDecibel * decibels);
            }
        }
        return images.add(Tensors.of(gains, batch, 1, bins).to(images.device(), images.scalar_type()));
    }

    /** SpecAugment (Park et al. 2019): stripes take the batch's mean of their bin. */
    private Tensor masked(Tensor images, RandomGenerator random) {
        int batch = (int) images.size(0);
        int frames = (int) images.size(1);
        int bins = (int) images.size(2);
        float[] keepFrames = stripes(batch, frames, recipe.timeMasks(), recipe.timeMaskFrames(), random);
        float[] keepBins = stripes(batch, bins, recipe.frequencyMasks(), recipe.frequencyMaskBins(), random);
        Tensor keep = Tensors.of(keepFrames, batch, frames, 1).to(images.device(), images.scalar_type())
                .mul(Tensors.of(keepBins, batch, 1, bins).to(images.device(), images.scalar_type()));
        Tensor mean = images.mean(new long[] {0, 1}, true, new ScalarTypeOptional());
        return mean.add(images.sub(mean).mul(keep));
    }

    /** 1 where nothing is masked: {@code count} stripes of up to {@code width} in each of {@code batch} rows. */
    private static float[] stripes(int batch, int length, int count, int width, RandomGenerator random) {
        float[] keep = new float[batch * length];
        Arrays.fill(keep, 1);
        for (int b = 0; b < batch; b++) {
            for (int m = 0; m < count; m++) {
                int wide = Math.min(random.nextInt(width + 1), length);
                int from = b * length + random.nextInt(length - wide + 1);
                Arrays.fill(keep, from, from + wide, 0);
            }
        }
        return keep;
    }

}

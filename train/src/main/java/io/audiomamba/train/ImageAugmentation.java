package io.audiomamba.train;

import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.random.RandomGenerator;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;

/** Changes a batch of log-mel spectrograms at random, and mixes them and their labels. */
final class ImageAugmentation {

    /** Turning points of a random filter. */
    private static final int KNOTS = 4;

    private final Recipe.Augment recipe;

    ImageAugmentation(Recipe.Augment recipe) {
        this.recipe = recipe;
    }

    /**
     * @param images  (B, frames, bins)
     * @param targets (B, classes)
     */
    record Examples(Tensor images, Tensor targets) {}

    Examples apply(Examples examples, RandomGenerator random) {
        Examples changed = new Examples(masked(filtered(examples.images(), random), random), examples.targets());
        if (recipe.cutmixAlpha() > 0 && random.nextDouble() < recipe.cutmixProbability()) {
            return cutMix(changed, random);
        }
        if (recipe.mixupAlpha() > 0 && random.nextDouble() < recipe.mixupProbability()) {
            return mixUp(changed, random);
        }
        return changed;
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
                gains[b * bins + bin] = (float) (knots[knot] + (position - knot) * (knots[knot + 1] - knots[knot]));
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

    /** Mixup (Zhang et al. 2018) of the images and of the targets, each pair in a proportion of its own. */
    private Examples mixUp(Examples examples, RandomGenerator random) {
        int batch = (int) examples.images().size(0);
        float[] parts = new float[batch];
        for (int b = 0; b < batch; b++) {
            parts[b] = (float) beta(recipe.mixupAlpha(), random);
        }
        Tensor part = Tensors.of(parts, batch, 1, 1).to(examples.images().device(), examples.images().scalar_type());
        return mixed(examples, part, part.squeeze(2), random);
    }

    /** CutMix (Yun et al. 2019): a rectangle from another image; targets in proportion to the areas. */
    private Examples cutMix(Examples examples, RandomGenerator random) {
        int frames = (int) examples.images().size(1);
        int bins = (int) examples.images().size(2);
        double cut = Math.sqrt(1 - beta(recipe.cutmixAlpha(), random));
        int wide = (int) (frames * cut);
        int high = (int) (bins * cut);
        int left = random.nextInt(frames - wide + 1);
        int low = random.nextInt(bins - high + 1);
        float[] own = new float[frames * bins];
        Arrays.fill(own, 1);
        for (int frame = left; frame < left + wide; frame++) {
            Arrays.fill(own, frame * bins + low, frame * bins + low + high, 0);
        }
        Tensor mask = Tensors.of(own, 1, frames, bins).to(examples.images().device(),
                examples.images().scalar_type());
        return mixed(examples, mask, mask.mean(new long[] {1, 2}, false, new ScalarTypeOptional())
                .unsqueeze(1), random);
    }

    private static Examples mixed(Examples examples, Tensor ofImages, Tensor ofTargets, RandomGenerator random) {
        int batch = (int) examples.images().size(0);
        // A cyclic shift pairs everybody with somebody else.
        int shift = batch == 1 ? 0 : 1 + random.nextInt(batch - 1);
        Tensor images = examples.images().roll(new long[] {shift}, 0);
        Tensor targets = examples.targets().roll(new long[] {shift}, 0);
        return new Examples(images.add(examples.images().sub(images).mul(ofImages)),
                targets.add(examples.targets().sub(targets).mul(ofTargets)));
    }

    /** From the symmetric Beta distribution, by Jöhnk's method. */
    static double beta(double alpha, RandomGenerator random) {
        while (true) {
            double x = Math.pow(random.nextDouble(), 1 / alpha);
            double y = Math.pow(random.nextDouble(), 1 / alpha);
            if (x + y > 0 && x + y <= 1) {
                return x / (x + y);
            }
        }
    }
}

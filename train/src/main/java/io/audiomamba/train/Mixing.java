package io.audiomamba.train;

import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.random.RandomGenerator;
import org.apache.commons.statistics.distribution.BetaDistribution;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;

/** Mixes the sounds of a batch with one another, as waveforms or as images, and their targets. */
final class Mixing {

    private final Recipe.Augment recipe;

    Mixing(Recipe.Augment recipe) {
        this.recipe = recipe;
    }

    /**
     * @param inputs  (B, samples) or (B, frames, bins)
     * @param targets (B, classes)
     */
    record Examples(Tensor inputs, Tensor targets) {}

    /** What is mixed before there are spectrograms. */
    Examples ofWaveforms(Examples examples, RandomGenerator random) {
        return recipe.mixupKind() == Recipe.MixupKind.WAVEFORMS && isDrawn(recipe.mixupAlpha(),
                recipe.mixupProbability(), random) ? mixUp(examples, random) : examples;
    }

    /** CutMix or mixup, or neither, of spectrograms. */
    Examples ofImages(Examples examples, RandomGenerator random) {
        if (isDrawn(recipe.cutmixAlpha(), recipe.cutmixProbability(), random)) {
            return cutMix(examples, random);
        }
        return recipe.mixupKind() != Recipe.MixupKind.WAVEFORMS && isDrawn(recipe.mixupAlpha(),
                recipe.mixupProbability(), random) ? mixUp(examples, random) : examples;
    }

    private static boolean isDrawn(double alpha, double probability, RandomGenerator random) {
        return alpha > 0 && random.nextDouble() < probability;
    }

    /** Mixup (Zhang et al. 2018), each pair in a proportion of its own. */
    private Examples mixUp(Examples examples, RandomGenerator random) {
        int batch = (int) examples.inputs().size(0);
        float[] parts = new float[batch];
        for (int b = 0; b < batch; b++) {
            parts[b] = (float) beta(recipe.mixupAlpha(), random);
        }
        Tensor part = Tensors.of(parts, batch, 1).to(examples.inputs().device(), examples.inputs().scalar_type());
        Tensor ofInputs = examples.inputs().dim() == 2 ? part : part.unsqueeze(2);
        if (recipe.mixupKind() == Recipe.MixupKind.AUTHORS) {
            return new Examples(blend(examples.inputs(), examples.inputs().flip(0), ofInputs), examples.targets());
        }
        return mixed(examples, ofInputs, part, random);
    }

    /** CutMix (Yun et al. 2019): a rectangle from another image; targets in proportion to the areas. */
    private Examples cutMix(Examples examples, RandomGenerator random) {
        int frames = (int) examples.inputs().size(1);
        int bins = (int) examples.inputs().size(2);
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
        Tensor mask = Tensors.of(own, 1, frames, bins).to(examples.inputs().device(),
                examples.inputs().scalar_type());
        return mixed(examples, mask, mask.mean(new long[] {1, 2}, false, new ScalarTypeOptional())
                .unsqueeze(1), random);
    }

    private static Examples mixed(Examples examples, Tensor ofInputs, Tensor ofTargets, RandomGenerator random) {
        int batch = (int) examples.inputs().size(0);
        // A cyclic shift pairs everybody with somebody else.
        int shift = batch == 1 ? 0 : 1 + random.nextInt(batch - 1);
        return new Examples(blend(examples.inputs(), examples.inputs().roll(new long[] {shift}, 0), ofInputs),
                blend(examples.targets(), examples.targets().roll(new long[] {shift}, 0), ofTargets));
    }

    private static Tensor blend(Tensor own, Tensor other, Tensor part) {
        return other.lerp(own, part);
    }

    /** From the symmetric Beta distribution, by Jöhnk's method where that accepts at least every other pair. */
    static double beta(double alpha, RandomGenerator random) {
        if (alpha > 1) {
            return BetaDistribution.of(alpha, alpha).inverseCumulativeProbability(random.nextDouble());
        }
        while (true) {
            double x = Math.pow(random.nextDouble(), 1 / alpha);
            double y = Math.pow(random.nextDouble(), 1 / alpha);
            if (x + y > 0 && x + y <= 1) {
                return x / (x + y);
            }
        }
    }
}

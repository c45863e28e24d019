package io.audiomamba.train;

import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.Pass;
import io.audiomamba.scan.ScanKernel;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.Tensors;
import io.audiomamba.train.Recipe.LossKind;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.random.RandomGenerator;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** What training minimises: the loss of a model on a batch that is augmented and mixed as the recipe says. */
final class Objective {

    private final Recipe recipe;
    private final AudioMamba model;
    private final FrontEnd frontEnd;
    private final Device device;
    private final boolean mixedPrecision;
    private final ScanKernel kernel;
    private final ImageAugmentation augmentation;
    private final Mixing mixing;

    /** @param frontEnd its name */
    Objective(Recipe recipe, AudioMamba model, String frontEnd, Device device) {
        this.recipe = recipe;
        this.model = model;
        this.device = device;
        mixedPrecision = recipe.train().precision() == Recipe.Precision.BFLOAT16 && device.is_cuda();
        this.frontEnd = FrontEnd.named(frontEnd, device, mixedPrecision ? ScalarType.Float : ScalarType.Double);
        kernel = ScanKernels.best(device);
        augmentation = new ImageAugmentation(recipe.augment(), this.frontEnd);
        mixing = new Mixing(recipe.augment());
    }

    /**
     * A batch as the model meets it, on its device.
     *
     * @param images   (B, frames, bins)
     * @param targets  (B, classes)
     * @param dropPath as {@link Pass#dropPath} says
     */
    record Examples(Tensor images, Tensor targets, Tensor dropPath) implements AutoCloseable {

        /** The same, beyond the scope in which they were made. */
        Examples permanent() {
            List.of(images, targets, dropPath).forEach(Tensors::permanent);
            return this;
        }

        @Override
        public void close() {
            List.of(images, targets, dropPath).forEach(Tensor::releaseReference);
        }
    }

    /** Augments and mixes a batch, (B, samples) and (B, classes), on the model's device. */
    Examples examples(Mixing.Examples batch, RandomGenerator random) {
        Mixing.Examples sounds = mixing.ofWaveforms(new Mixing.Examples(batch.inputs(), smoothed(batch.targets())),
                random);
        Tensor images = augmentation.apply(frontEnd.apply(sounds.inputs()), random);
        Mixing.Examples mixed = mixing.ofImages(new Mixing.Examples(images, sounds.targets()), random);
        Tensor dropPath = model.dropPath((int) batch.inputs().size(0), random).to(device,
                mixedPrecision ? ScalarType.BFloat16 : ScalarType.Float);
        return new Examples(mixed.inputs(), mixed.targets(), dropPath);
    }

    /** The mean loss. */
    Tensor loss(Examples examples, BiConsumer<String, Tensor> tap) {
        tap.accept("spectrogram", examples.images());
        Tensor logits = forward(examples.images(),
                new Pass(kernel, true).withDropPath(examples.dropPath()).withTap(tap)).to(ScalarType.Float);
        return switch (recipe.loss().kind()) {
            case CROSS_ENTROPY -> examples.targets().mul(torch.log_softmax(logits, 1)).sum(1).mean().neg();
            case BINARY_CROSS_ENTROPY -> torch.binary_cross_entropy_with_logits(logits, examples.targets());
        };
    }

    private Tensor smoothed(Tensor targets) {
        double smoothing = recipe.loss().labelSmoothing();
        if (smoothing == 0) {
            return targets;
        }
        double share = recipe.loss().kind() == LossKind.CROSS_ENTROPY ? 1.0 / targets.size(1) : 0.5;
        return targets.mul(new Scalar(1 - smoothing)).add(new Scalar(smoothing * share));
    }

    private Tensor forward(Tensor images, Pass pass) {
        return mixedPrecision
                ? Autocast.bfloat16(() -> model.forward(images, pass).clip())
                : model.forward(images, pass).clip();
    }
}

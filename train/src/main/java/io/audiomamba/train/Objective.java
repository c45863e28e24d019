package io.audiomamba.train;

import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.Pass;
import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.Tensors;
import io.audiomamba.train.Recipe.LossKind;
import java.util.random.RandomGenerator;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
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
    private final ImageAugmentation augmentation;
    private final Mixing mixing;

    Objective(Recipe recipe, AudioMamba model, FrontEnd frontEnd, Device device) {
        this.recipe = recipe;
        this.model = model;
        this.frontEnd = frontEnd;
        this.device = device;
        augmentation = new ImageAugmentation(recipe.augment());
        mixing = new Mixing(recipe.augment());
    }

    /** The mean loss of a batch that is not empty. */
    Tensor loss(Batches.Batch batch, RandomGenerator random, Pass pass) {
        Mixing.Examples examples;
        try (var _ = new NoGradGuard()) {
            examples = examples(batch, random);
        }
        pass.tap().accept("spectrogram", examples.inputs());
        Tensor logits = forward(examples.inputs(), pass).to(ScalarType.Float);
        return switch (recipe.loss().kind()) {
            case CROSS_ENTROPY -> examples.targets().mul(torch.log_softmax(logits, 1)).sum(1).mean().neg();
            case BINARY_CROSS_ENTROPY -> torch.binary_cross_entropy_with_logits(logits, examples.targets());
        };
    }

    private Mixing.Examples examples(Batches.Batch batch, RandomGenerator random) {
        Tensor waveforms = Tensors.of(batch.waveforms(), batch.size(), frontEnd.windowSamples()).to(device,
                ScalarType.Float);
        Tensor targets = Tensors.of(batch.targets(), batch.size(), model.config().classes()).to(device,
                ScalarType.Float);
        Mixing.Examples sounds = mixing.ofWaveforms(new Mixing.Examples(waveforms, smoothed(targets)), random);
        Tensor images = augmentation.apply(frontEnd.apply(sounds.inputs()), random);
        return mixing.ofImages(new Mixing.Examples(images, sounds.targets()), random);
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
        boolean mixed = recipe.train().precision() == Recipe.Precision.BFLOAT16 && device.is_cuda();
        return mixed
                ? Autocast.bfloat16(() -> model.forward(images, pass).clip())
                : model.forward(images, pass).clip();
    }
}

package io.audiomamba.train;

import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.data.Dataset;
import io.audiomamba.evaluation.Evaluator;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import io.audiomamba.model.Variants;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Autocast;
import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Tensors;
import io.audiomamba.train.Recipe.LossKind;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Trains one model by a {@link Recipe}. Not thread-safe. On a CPU equal seeds and threads give equal models. */
public final class Trainer implements AutoCloseable {

    private final Recipe recipe;
    private final Dataset dataset;
    private final Device device;
    private final Description description;
    private final FrontEnd frontEnd;
    private final Parameters parameters;
    private final AudioMamba model;
    private final FlatParameters flat;
    private final AdamW optimizer;
    private final Tensor average;
    private final Batches batches;
    private final ImageAugmentation augmentation;
    private final Pass pass;
    private int finishedEpochs;

    /** What is known after an epoch: its number from 1, the mean loss, clips trained on, and how long it took. */
    public record Epoch(int number, double loss, double learningRate, int clips, double seconds) {}

    /** A new model with random weights for the classes of {@code dataset}, to be trained on {@code device}. */
    public Trainer(Recipe recipe, Dataset dataset, Device device) {
        this.recipe = recipe;
        this.dataset = dataset;
        this.device = device;
        description = describe(recipe, dataset);
        frontEnd = FrontEnd.named(description.frontEnd(), device);
        parameters = new Parameters(Parameters.Source.random(recipe.train().seed()));
        try (var _ = new PointerScope()) {
            model = new AudioMamba(description.model(), parameters);
        }
        flat = new FlatParameters(parameters, device);
        optimizer = new AdamW(recipe.optimizer(), flat);
        average = recipe.train().ema() > 0 ? Tensors.permanent(flat.values().clone()) : null;
        batches = new Batches(dataset, recipe, frontEnd.sampleRate(), frontEnd.windowSamples());
        augmentation = new ImageAugmentation(recipe.augment());
        pass = new Pass(ScanKernels.best(device), true);
    }

    private static Description describe(Recipe recipe, Dataset dataset) {
        ModelConfig variant = Variants.named(recipe.model().preset());
        InputKind input = variant.input() == InputKind.FILTER_BANK ? InputKind.FILTER_BANK : InputKind.FOLDED_LOG_MEL;
        ModelConfig config = variant.forAudio(input, dataset.labels().size(), recipe.model().head())
                .withDropPath(recipe.model().dropPath());
        Map<String, String> provenance = new LinkedHashMap<>();
        provenance.put("data", dataset.title() + ", " + dataset.clips().size() + " clips");
        provenance.put("weights", "trained from random ones, seed " + recipe.train().seed());
        provenance.put("recipe", recipe.toYaml());
        return new Description(config, Description.frontEndOf(input), dataset.labels(),
                recipe.loss().kind() == LossKind.CROSS_ENTROPY ? Activation.SOFTMAX : Activation.SIGMOID, 1,
                provenance);
    }

    /** What a checkpoint of this model says of itself. */
    public Description description() {
        return description;
    }

    /** The number of trainable values. */
    public long parameterCount() {
        return parameters.count();
    }

    /** How many epochs are done. */
    public int finishedEpochs() {
        return finishedEpochs;
    }

    /** Trains for one epoch more. */
    public Epoch epoch() {
        long start = System.nanoTime();
        int epoch = finishedEpochs;
        int[] done = new int[2]; // batches, clips
        try (var _ = new PointerScope()) {
            Tensor losses = torch.zeros(new long[] {1}, flat.values().options());
            batches.forEach(epoch, batch -> {
                step(batch, epoch, done[0], losses);
                done[0]++;
                done[1] += batch.size();
            });
            finishedEpochs++;
            return new Epoch(finishedEpochs, losses.item_float() / done[0], LearningRate.at(recipe, epoch), done[1],
                    (System.nanoTime() - start) / 1e9);
        }
    }

    private void step(Batches.Batch batch, int epoch, int index, Tensor losses) {
        // Drop path and dropout draw from LibTorch's generator: seeded anew, a resumed run draws what it would have.
        SplittableRandom random = new SplittableRandom(recipe.train().seed() + 7_919L * epoch + 31L * index);
        torch.manual_seed(random.nextLong());
        try (var _ = new GradientTape(); var _ = new PointerScope()) {
            Tensor loss = loss(batch, random);
            loss.div(new Scalar((double) recipe.optimizer().accumulate())).backward();
            losses.add_(loss.detach());
        }
        if ((index + 1) % recipe.optimizer().accumulate() == 0 || index + 1 == batches.count()) {
            optimizer.step(LearningRate.at(recipe, epoch + (double) (index + 1) / batches.count()));
            follow();
        }
    }

    private Tensor loss(Batches.Batch batch, SplittableRandom random) {
        ImageAugmentation.Examples examples;
        try (var _ = new NoGradGuard()) {
            Tensor waveforms = Tensors.of(batch.waveforms(), batch.size(), frontEnd.windowSamples()).to(device,
                    ScalarType.Float);
            Tensor targets = Tensors.of(batch.targets(), batch.size(), dataset.labels().size()).to(device,
                    ScalarType.Float);
            examples = augmentation.apply(
                    new ImageAugmentation.Examples(frontEnd.apply(waveforms), smoothed(targets)), random);
        }
        Tensor logits = forward(examples.images()).to(ScalarType.Float);
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

    private Tensor forward(Tensor images) {
        boolean mixed = recipe.train().precision() == Recipe.Precision.BFLOAT16 && device.is_cuda();
        return mixed
                ? Autocast.bfloat16(() -> model.forward(images, pass).clip())
                : model.forward(images, pass).clip();
    }

    /** Moves the average towards the weights; faster in the first steps, when it still holds random ones. */
    private void follow() {
        if (average == null) {
            return;
        }
        double steps = optimizer.steps();
        double decay = Math.min(recipe.train().ema(), (1 + steps) / (10 + steps));
        try (var _ = new NoGradGuard()) {
            average.lerp_(flat.values(), new Scalar(1 - decay));
        }
    }

    /** What the model, with averaged weights if the recipe averages, says of {@code clips}. */
    public Evaluator.Outcome predict(Dataset clips, int shifts) {
        Evaluator.Outcome[] result = new Evaluator.Outcome[1];
        withAverage(() -> result[0] = new Evaluator(model, frontEnd, device).predict(clips, shifts));
        return result[0];
    }

    /** Writes the model, with averaged weights if the recipe averages, described by {@code as}. */
    public void write(Path file, Description as, DType type) {
        withAverage(() -> Checkpoint.write(file, as, parameters.tensors(), type));
    }

    private void withAverage(Runnable body) {
        if (average == null) {
            body.run();
            return;
        }
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            Tensor kept = flat.values().clone();
            flat.values().copy_(average);
            try {
                body.run();
            } finally {
                flat.values().copy_(kept);
            }
        }
    }

    /** Everything that training goes on from, to be saved and {@linkplain #resume restored}. */
    Map<String, Tensor> state() {
        Map<String, Tensor> state = new LinkedHashMap<>();
        state.put("values", flat.values());
        state.put("mean", optimizer.state()[0]);
        state.put("square", optimizer.state()[1]);
        if (average != null) {
            state.put("average", average);
        }
        parameters.tensors().forEach((name, tensor) -> {
            if (parameters.isBuffer(name)) {
                state.put("buffer." + name, tensor);
            }
        });
        return state;
    }

    /** Goes on after {@code epochs}, once the tensors of {@link #state} hold what they held then. */
    void resume(int epochs, long steps) {
        finishedEpochs = epochs;
        optimizer.resumeAt(steps);
    }

    long steps() {
        return optimizer.steps();
    }

    @Override
    public void close() {
        batches.close();
        optimizer.close();
        if (average != null) {
            average.releaseReference();
        }
        flat.close();
        parameters.close();
    }
}

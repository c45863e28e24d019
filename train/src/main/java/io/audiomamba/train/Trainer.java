package io.audiomamba.train;

import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.evaluation.Evaluator;
import io.audiomamba.evaluation.Metrics;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Variants;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Trains one model by a {@link Recipe}. Not thread-safe. On a CPU equal seeds and threads give equal models. */
public final class Trainer implements AutoCloseable {

    private final Recipe recipe;
    private final Dataset dataset;
    private final Device device;
    private final Description description;
    private final FrontEnd frontEnd;
    private final Parameters parameters;
    private final AudioMamba model;
    private final Objective objective;
    private final GradientStep gradientStep;
    private final FlatParameters flat;
    private final AdamW optimizer;
    private final WeightAverages averages;
    private final Batches batches;
    private final Map<String, String> unreadable = new LinkedHashMap<>();
    private Position position = Position.START;

    /**
     * What is known after an epoch.
     *
     * @param number       from 1
     * @param loss         mean over its batches
     * @param learningRate at its beginning
     * @param clips        that this process trained on; less than all if the epoch was resumed
     * @param seconds      that this took
     * @param skipped      clips that could not be read
     */
    public record Epoch(int number, double loss, double learningRate, int clips, double seconds, int skipped) {

        /** How fast it went; null if this process trained on none of the clips, but only came to the end of the epoch. */
        public Double clipsPerSecond() {
            return clips == 0 ? null : clips / seconds;
        }
    }

    /** A new model with random weights for the classes of {@code dataset}, to be trained on {@code device}. */
    public Trainer(Recipe recipe, Dataset dataset, Device device) {
        this(recipe, dataset, device, InitialWeights.RANDOM);
    }

    /**
     * A model for the classes of {@code dataset}, to be trained on {@code device}.
     *
     * @throws ConfigurationException if the recipe does not fit the model or the dataset
     */
    public Trainer(Recipe recipe, Dataset dataset, Device device, InitialWeights weights) {
        this.recipe = recipe;
        this.dataset = dataset;
        this.device = device;
        ModelConfig config = Variants.named(recipe.model().preset())
                .forSound(dataset.labels().size(), recipe.model().head()).withDropPath(recipe.model().dropPath())
                .withAttentionAfter(recipe.model().attentionAfter());
        recipe.requireFits(dataset);
        parameters = new Parameters(weights.source(config, Parameters.Source.random(recipe.train().seed())));
        try (var _ = new PointerScope()) {
            model = new AudioMamba(config, parameters);
        }
        description = describe(config, recipe, dataset, weights);
        frontEnd = FrontEnd.named(description.frontEnd(), device);
        objective = new Objective(recipe, model, description.frontEnd(), device);
        flat = new FlatParameters(parameters, device,
                new LayerRates(config, recipe.optimizer()).checked(parameters.trainable().keySet()));
        optimizer = new AdamW(recipe.optimizer(), flat);
        averages = new WeightAverages(recipe.train(), flat.values());
        batches = new Batches(dataset, recipe, frontEnd, device, this::examples);
        gradientStep = new GradientStep(objective, config, batches.size(), device);
    }

    private static Description describe(ModelConfig config, Recipe recipe, Dataset dataset, InitialWeights weights) {
        Map<String, String> provenance = new LinkedHashMap<>();
        provenance.put("data", dataset.title() + ", " + dataset.clips().size() + " clips");
        provenance.put("weights", "trained, seed " + recipe.train().seed() + "; at first " + weights.provenance());
        provenance.put("recipe", recipe.toYaml());
        return new Description(config, Description.trainedFrontEndOf(config.input()), dataset.labels(),
                recipe.loss().kind().activation(), 1, provenance);
    }

    /** What a checkpoint of this model says of itself. */
    public Description description() {
        return description;
    }

    /** How many epochs are done. */
    public int finishedEpochs() {
        return position.epochs();
    }

    /** The training clips that could not be read so far: names, and why. */
    public Map<String, String> unreadable() {
        return Map.copyOf(unreadable);
    }

    /**
     * Trains for one epoch more.
     *
     * @throws AudioException         if a clip cannot be read
     * @throws ConfigurationException as {@link #epoch(TrainingListener, BooleanSupplier, Runnable)}
     */
    public Epoch epoch() {
        return epoch(STRICT, () -> false, () -> {}).orElseThrow();
    }

    private static final TrainingListener STRICT = new TrainingListener() {
        @Override
        public void step(Step step) {}

        @Override
        public void epoch(Epoch epoch, Metrics metrics) {}

        @Override
        public void unreadable(String reason) {
            throw new AudioException(reason);
        }

        @Override
        public void warning(String sentence) {}
    };

    /**
     * Trains to the end of an epoch. A clip that cannot be read is told to {@code listener} once, and left out.
     *
     * @param stop      asked after each step of the optimiser
     * @param beforeEnd run when the epoch's last step is made and the epoch not yet finished: a training that goes on from
     *                  there only finishes it
     * @return nothing if {@code stop} said so, perhaps in the middle of the epoch, from where training may go on
     * @throws ConfigurationException if the loss or a gradient is not finite any more, naming the tensor that went bad
     *                                first, or if no clip can be read
     */
    public Optional<Epoch> epoch(TrainingListener listener, BooleanSupplier stop, Runnable beforeEnd) {
        long start = System.nanoTime();
        int before = position.clips();
        while (position.batches() < batches.count()) {
            try (Batches.Batch batch = batches.get(position.epochs(), position.batches())) {
                report(batch.unreadable(), listener);
                double loss = train(batch);
                position = position.afterBatch(loss, batch.size(), batch.unreadable().size(), optimizer.steps());
                if (batch.size() > 0) {
                    listener.step(new TrainingListener.Step(position.epochs() + 1, position.batches(),
                            batches.count(), loss, learningRate(position.batches()), batch.size()));
                }
            }
            if (endsStep(position.batches()) && stop.getAsBoolean()) {
                return Optional.empty();
            }
        }
        if (position.trained() == 0) {
            throw new ConfigurationException(dataset.title() + ": none of its clips can be read.");
        }
        beforeEnd.run();
        Epoch done = new Epoch(position.epochs() + 1, position.losses() / position.trained(),
                LearningRate.at(recipe, position.epochs(), 0), position.clips() - before,
                (System.nanoTime() - start) / 1e9, position.skipped());
        position = position.afterEpoch();
        averages.afterEpoch(position.epochs());
        return Optional.of(done);
    }

    private void report(Map<String, String> failures, TrainingListener listener) {
        failures.forEach((clip, reason) -> {
            if (unreadable.put(clip, reason) == null) {
                listener.unreadable(reason);
            }
        });
    }

    private boolean endsStep(int batch) {
        return batch % recipe.optimizer().accumulate() == 0 || batch == batches.count();
    }

    private double learningRate(int batches) {
        return LearningRate.at(recipe, position.epochs(), (double) batches / this.batches.count());
    }

    /** Adds the gradients of a batch, and makes a step if it is the last one of a step. */
    private double train(Batches.Batch batch) {
        int accumulate = recipe.optimizer().accumulate();
        int group = Math.min(accumulate, batches.count() - position.batches() / accumulate * accumulate);
        double loss = batch.examples().isPresent() ? gradients(batch, group) : 0;
        if (endsStep(position.batches() + 1)) {
            double norm = optimizer.step(learningRate(position.batches() + 1));
            if (!Double.isFinite(norm)) {
                throw diverged(batch, "norm of the gradients is " + norm);
            }
            averages.afterStep(optimizer.steps());
        }
        return loss;
    }

    private double gradients(Batches.Batch batch, int group) {
        double loss;
        try (var _ = new PointerScope()) {
            seedDropout();
            loss = gradientStep.run(batch.examples().orElseThrow(), group);
        }
        if (!Double.isFinite(loss)) {
            throw diverged(batch, "loss is " + loss);
        }
        return loss;
    }

    private Objective.Examples examples(Mixing.Examples sounds, int epoch, int batch) {
        return objective.examples(sounds, randomness(epoch, batch).split());
    }

    /** What is random follows from the seed and the position, so that a resumed run draws what it would have. */
    private SplittableRandom randomness(int epoch, int batch) {
        return new SplittableRandom(recipe.train().seed() + 7_919L * epoch + 31L * batch);
    }

    private void seedDropout() {
        torch.manual_seed(randomness(position.epochs(), position.batches()).nextLong());
    }

    private ConfigurationException diverged(Batches.Batch batch, String symptom) {
        String cause = batch.examples().map(examples -> {
            seedDropout();
            return ", and what first was not finite is "
                    + Divergence.firstBadTensor(parameters, tap -> objective.loss(examples, tap));
        }).orElse("");
        return new ConfigurationException("Training stopped in epoch " + (position.epochs() + 1) + " at batch "
                + (position.batches() + 1) + ": the " + symptom + cause
                + ". What was saved before, if anything, is still good; a smaller optimizer.lr may help.");
    }

    /**
     * What the model, with averaged weights if the recipe averages, says of {@code clips}.
     *
     * @param stop asked before each batch
     * @return nothing if {@code stop} said so
     * @throws ConfigurationException if its scores are not finite, naming the tensor that went bad first
     */
    public Optional<Evaluator.Outcome> predict(Dataset clips, int shifts, BooleanSupplier stop) {
        Evaluator evaluator = new Evaluator(model, frontEnd, device, this::divergedInEvaluation);
        AtomicReference<Optional<Evaluator.Outcome>> outcome = new AtomicReference<>();
        averages.during(() -> outcome.set(evaluator.predict(clips, shifts, (_, _) -> {}, stop)));
        return outcome.get();
    }

    private ConfigurationException divergedInEvaluation() {
        try (Batches.Batch batch = batches.get(position.epochs(), 0)) {
            return diverged(batch, "scores of held-out clips are not finite");
        }
    }

    /** Writes the model, with averaged weights if the recipe averages, described by {@code as}. */
    public void write(Path file, Description as, DType type) {
        averages.during(() -> Checkpoint.write(file, as, parameters.tensors(), type));
    }

    /** Everything that training goes on from beside its {@link #position}, to be saved and restored. */
    Map<String, Tensor> state() {
        Map<String, Tensor> state = new LinkedHashMap<>();
        state.put("values", flat.values());
        state.put("mean", optimizer.state()[0]);
        state.put("square", optimizer.state()[1]);
        state.putAll(averages.state());
        parameters.tensors().forEach((name, tensor) -> {
            if (parameters.isBuffer(name)) {
                state.put("buffer." + name, tensor);
            }
        });
        return state;
    }

    /** What the next step of the optimiser takes. */
    Tensor gradients() {
        return flat.gradients();
    }

    Position position() {
        return position;
    }

    /** Goes on from {@code saved}, once the tensors of {@link #state} hold what they held then. */
    void resume(Position saved) {
        position = saved;
        optimizer.resumeAt(saved.steps());
        averages.resumeAt(saved.epochs());
    }

    @Override
    public void close() {
        gradientStep.close();
        batches.close();
        optimizer.close();
        averages.close();
        flat.close();
        parameters.close();
    }
}

package io.audiomamba.train;

import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.evaluation.Evaluator;
import io.audiomamba.evaluation.Metrics;
import io.audiomamba.evaluation.Predictions;
import io.audiomamba.file.WholeFile;
import io.audiomamba.torch.DeviceStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.bytedeco.pytorch.Device;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.ObjectMapper;

/**
 * One training in a folder of its own: {@code recipe.yaml}; {@code metrics.jsonl}, a line an epoch, and the same for
 * TensorBoard; {@code last} and {@code best.safetensors}, models; {@code state.safetensors}, from which an
 * interrupted training goes on exactly; and at the end {@code curves.png} and {@code report.html}.
 */
public final class TrainingRun {

    /** Folders of the trainings of this process. */
    private static final Set<Path> AT_WORK = ConcurrentHashMap.newKeySet();
    private static final String STATE = "state.safetensors";
    private static final String LOCK = ".lock";
    private static final String BEST = "best";
    private static final String DATA = "data";
    private static final String UNREADABLE = "unreadable";
    /** Clips that a state notes as unreadable; of millions its header would be too large to be read. */
    private static final int MOST_NOTED = 1000;
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final TypeReference<Map<String, String>> NAMES_AND_REASONS = new TypeReference<>() {
    };

    private final Path folder;
    private final Recipe recipe;
    private final Dataset training;
    private final Dataset validation;
    private volatile boolean stopping;
    /** Of the whole training, also of what came before it was interrupted. */
    private final Map<String, String> unreadable = new LinkedHashMap<>();
    /** Held-out clips that cannot be read, as far as the listener knows of them. */
    private final Set<String> reported = new HashSet<>();
    private Predictions heldOut;
    private double best = Double.NEGATIVE_INFINITY;

    /**
     * What a training is given beside its data.
     *
     * @param device      to train on
     * @param weights     to begin with
     * @param calibration the outcome of a cross-validation of the recipe, whose temperature and figures the models shall
     *                    carry; null for none
     * @param type        of the stored weights
     */
    public record Setting(Device device, InitialWeights weights, CrossValidation.Summary calibration, DType type) {}

    /**
     * How a training ended.
     *
     * @param finished   whether all epochs are done
     * @param unreadable clips that could not be read, and why
     */
    public record Outcome(boolean finished, Map<String, String> unreadable) {}

    /** @param validation clips that are held out; null for none */
    public TrainingRun(Path folder, Recipe recipe, Dataset training, Dataset validation) {
        this.folder = folder;
        this.recipe = recipe;
        this.training = training;
        this.validation = validation;
    }

    private Path file(String name) {
        return folder.resolve(name);
    }

    /**
     * Lets {@link #run} finish the step or the batch of held-out clips it is at, save, and return. May be called by any
     * thread.
     */
    public void stop() {
        stopping = true;
    }

    /**
     * Trains to the end, or until it is {@linkplain #stop stopped}.
     *
     * @param resume go on from {@code state.safetensors} if it is there; else the folder must not hold one
     * @throws ConfigurationException if the folder holds another training, or one is at work in it, or if the training
     *                                diverges
     * @throws EnvironmentException   if something cannot be written
     */
    public Outcome run(Setting setting, boolean resume, TrainingListener listener) {
        // Before its lock is: to open and close the locked file in this process once more would drop the lock.
        Path place = folder.toAbsolutePath().normalize();
        if (!AT_WORK.add(place)) {
            throw another();
        }
        try {
            return train(setting, resume, listener);
        } finally {
            AT_WORK.remove(place);
        }
    }

    private ConfigurationException another() {
        return new ConfigurationException(folder + ": another training is at work in it; name another folder.");
    }

    private Outcome train(Setting setting, boolean resume, TrainingListener listener) {
        checkFolder(resume);
        if (validation != null) {
            recipe.requireFits(validation);
        }
        try (var _ = new DeviceStream(setting.device());
                Trainer trainer = new Trainer(recipe, training, setting.device(), setting.weights());
                var _ = occupied(listener)) {
            setting.weights().report().forEach(listener::warning);
            checkFolder(resume); // once more, now that no other training is at work in it
            TrainingHistory history = begin(trainer, listener);
            Description description = calibrated(trainer.description(), setting.calibration());
            boolean stoppedInEvaluation = false;
            while (!stopping && trainer.finishedEpochs() < recipe.train().epochs()) {
                Optional<Trainer.Epoch> epoch = trainer.epoch(listener, () -> stopping,
                        () -> saveBeforeEvaluation(trainer));
                stoppedInEvaluation = epoch.isPresent()
                        && !finish(epoch.get(), trainer, history, description, setting.type(), listener);
            }
            trainer.write(file("last.safetensors"), description, setting.type());
            if (!stoppedInEvaluation) { // else the state from before it is to stay
                saveState(trainer);
            }
            boolean finished = !stoppedInEvaluation && trainer.finishedEpochs() == recipe.train().epochs()
                    && report(trainer, history, description, listener);
            return new Outcome(finished, Map.copyOf(unreadable));
        } catch (IOException e) {
            throw WholeFile.unwritable(folder, e);
        }
    }

    /** Whether {@code folder} holds a training, or one is at work in it. */
    static boolean isIn(Path folder) {
        return Files.exists(folder.resolve(LOCK)) || Files.exists(folder.resolve(STATE));
    }

    private void checkFolder(boolean resume) {
        if (CrossValidation.isIn(folder)) {
            throw new ConfigurationException(folder + ": holds a cross-validation; name another folder.");
        }
        if (Files.exists(file(STATE))) {
            if (!resume) {
                throw new ConfigurationException(
                        folder + ": holds a training already; --resume goes on with it, or name another folder.");
            }
            if (!Files.exists(file("recipe.yaml"))) {
                throw new ConfigurationException(
                        folder + ": its recipe.yaml is missing, without which its training does"
                                + " not go on; put it back, or name another folder.");
            }
            if (!Recipe.of(file("recipe.yaml").toString(), Map.of()).equals(recipe)) {
                throw new ConfigurationException(
                        folder + ": was begun with another recipe, " + file("recipe.yaml") + ".");
            }
        }
    }

    /** Makes the folder, unless it is there, and keeps other trainings out of it until the result is closed. */
    private FileChannel occupied(TrainingListener listener) throws IOException {
        Files.createDirectories(folder);
        FileChannel lock = FileChannel.open(file(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        try {
            if (lock.tryLock() != null) {
                return lock;
            }
        } catch (OverlappingFileLockException _) {
            // a training of this process, which calls the folder something else
        } catch (IOException e) {
            listener.warning(folder + ": files cannot be locked there (" + e.getMessage()
                    + "), so a second training in it would not be noticed.");
            return lock;
        }
        lock.close();
        throw another();
    }

    private TrainingHistory begin(Trainer trainer, TrainingListener listener) throws IOException {
        WholeFile.deleteUnfinished(folder);
        Path state = file(STATE);
        if (!Files.exists(state)) {
            write("recipe.yaml", recipe.toYaml().getBytes(StandardCharsets.UTF_8));
            Files.deleteIfExists(file("metrics.jsonl"));
        } else {
            Map<String, String> notes = TrainingState.restore(state, trainer);
            if (!training.fingerprint().equals(notes.get(DATA))) {
                throw new ConfigurationException(folder + ": was begun with other clips (" + notes.get(DATA)
                        + ", now " + training.fingerprint() + ").");
            }
            best = Double.parseDouble(notes.get(BEST));
            unreadable.putAll(JSON.readValue(notes.getOrDefault(UNREADABLE, "{}"), NAMES_AND_REASONS));
        }
        return new TrainingHistory(folder, trainer.finishedEpochs(), listener);
    }

    /** Whether the held-out clips, if there are any, are evaluated on after the epoch. */
    private boolean isEvaluated(int epoch) {
        return validation != null
                && (epoch == recipe.train().epochs() || epoch % recipe.train().evaluateEvery() == 0);
    }

    /**
     * An evaluation may take long, or fail. Who goes on from this state finishes the epoch and evaluates. Only the state is
     * saved: should the evaluation find that the model has diverged, the last model is still a good one.
     */
    private void saveBeforeEvaluation(Trainer trainer) {
        if (isEvaluated(trainer.finishedEpochs() + 1)) {
            saveState(trainer);
        }
    }

    /** Evaluates, notes the figures and saves where that is due; false if stopped in the evaluation, before all that. */
    private boolean finish(Trainer.Epoch epoch, Trainer trainer, TrainingHistory history, Description description,
            DType type, TrainingListener listener) throws IOException {
        Metrics metrics = null;
        if (isEvaluated(epoch.number())) {
            if (!evaluate(trainer, listener)) {
                return false;
            }
            metrics = heldOut.metrics(description.activation());
        }
        history.add(EpochFigures.of(epoch, metrics, System.currentTimeMillis() / 1000.0));
        if (metrics != null && metrics.meanAveragePrecision() > best) {
            best = metrics.meanAveragePrecision();
            trainer.write(file("best.safetensors"), description, type);
        }
        if (epoch.number() < recipe.train().epochs() && epoch.number() % recipe.train().saveEvery() == 0) {
            trainer.write(file("last.safetensors"), description, type);
            saveState(trainer);
        }
        listener.epoch(epoch, metrics);
        return true;
    }

    /** Notes what the model says of the held-out clips that can be read; false if stopped before it has. */
    private boolean evaluate(Trainer trainer, TrainingListener listener) {
        Optional<Evaluator.Outcome> outcome = trainer.predict(validation, 1, () -> stopping);
        outcome.ifPresent(found -> {
            found.failures().forEach((clip, reason) -> {
                unreadable.put(clip, reason);
                if (reported.add(clip)) {
                    listener.unreadable(reason);
                }
            });
            heldOut = found.plain();
        });
        return outcome.isPresent();
    }

    /** Writes the report; false if stopped in the evaluation that it needs. */
    private boolean report(Trainer trainer, TrainingHistory history, Description description,
            TrainingListener listener) {
        if (validation != null && heldOut == null && !evaluate(trainer, listener)) {
            return false;
        }
        if (history.epochs().isEmpty()) {
            listener.warning(folder + ": no figures of any epoch are left to report.");
            return true;
        }
        Optional<byte[]> curves = new LearningCurves(history.epochs()).png();
        if (curves.isPresent()) {
            write("curves.png", curves.get());
        } else {
            listener.warning("The learning curves cannot be drawn: Java finds no fonts on this machine.");
        }
        String page = new TrainingReport(description, trainer.finishedEpochs(), history.epochs().getLast())
                .html(curves, heldOut, unreadable);
        write("report.html", page.getBytes(StandardCharsets.UTF_8));
        return true;
    }

    private void write(String name, byte[] content) {
        WholeFile.write(file(name), channel -> WholeFile.writeFully(channel, ByteBuffer.wrap(content)));
    }

    private void saveState(Trainer trainer) {
        unreadable.putAll(trainer.unreadable());
        Map<String, String> first = new LinkedHashMap<>();
        unreadable.entrySet().stream().limit(MOST_NOTED).forEach(clip -> first.put(clip.getKey(), clip.getValue()));
        TrainingState.save(file(STATE), trainer, Map.of(BEST, Double.toString(best), DATA, training.fingerprint(),
                UNREADABLE, JSON.writeValueAsString(first)));
    }

    private Description calibrated(Description description, CrossValidation.Summary summary) {
        if (summary == null) {
            return description;
        }
        Map<String, String> provenance = new LinkedHashMap<>(description.provenance());
        provenance.put(CrossValidation.Summary.PROVENANCE, summary.toJson());
        return new Description(description.model(), description.frontEnd(), description.labels(),
                description.activation(), summary.temperature(), provenance);
    }
}

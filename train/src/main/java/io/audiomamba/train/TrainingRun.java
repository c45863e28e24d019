package io.audiomamba.train;

import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.Safetensors;
import io.audiomamba.checkpoint.TensorFile;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.evaluation.Metrics;
import io.audiomamba.torch.Tensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import tools.jackson.databind.ObjectMapper;

/**
 * One training in a folder of its own: {@code recipe.yaml}; {@code metrics.jsonl}, a line an epoch; {@code last} and
 * {@code best.safetensors}, models; and {@code state.safetensors}, from which an interrupted training goes on exactly.
 */
public final class TrainingRun {

    private static final String EPOCHS = "epochs";
    private static final String STEPS = "steps";
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path folder;
    private final Recipe recipe;
    private final Dataset training;
    private final Dataset validation;
    private double best = Double.NEGATIVE_INFINITY;

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
     * Trains to the end.
     *
     * @param resume      go on from {@code state.safetensors} if it is there; else the folder must not hold one
     * @param calibration the outcome of a cross-validation of the recipe, whose temperature and figures the models shall
     *                    carry; null for none
     * @param type        of the stored weights
     * @param progress    told each epoch, and its measures where there are any, else null
     */
    public void run(Device device, boolean resume, CrossValidation.Summary calibration, DType type,
            BiConsumer<Trainer.Epoch, Metrics> progress) {
        try (Trainer trainer = new Trainer(recipe, training, device)) {
            Files.createDirectories(folder);
            begin(trainer, resume);
            Description description = calibrated(trainer.description(), calibration);
            while (trainer.finishedEpochs() < recipe.train().epochs()) {
                Trainer.Epoch epoch = trainer.epoch();
                boolean last = epoch.number() == recipe.train().epochs();
                boolean evaluated = validation != null
                        && (last || epoch.number() % recipe.train().evaluateEvery() == 0);
                Metrics metrics = evaluated ? trainer.predict(validation, 1).plain().metrics() : null;
                log(epoch, metrics);
                if (metrics != null && measure(metrics) > best) {
                    best = measure(metrics);
                    trainer.write(file("best.safetensors"), description, type);
                }
                if (last || epoch.number() % recipe.train().saveEvery() == 0) {
                    save(trainer);
                }
                progress.accept(epoch, metrics);
            }
            trainer.write(file("last.safetensors"), description, type);
        } catch (IOException e) {
            throw new ConfigurationException(folder + ": cannot be written (" + e.getMessage() + ").", e);
        }
    }

    private static double measure(Metrics metrics) {
        return metrics.meanAveragePrecision();
    }

    private Description calibrated(Description description, CrossValidation.Summary summary) {
        if (summary == null) {
            return description;
        }
        Map<String, String> provenance = new LinkedHashMap<>(description.provenance());
        provenance.put("cross-validation", JSON.writeValueAsString(summary));
        return new Description(description.model(), description.frontEnd(), description.labels(),
                description.activation(), summary.temperature(), provenance);
    }

    private void begin(Trainer trainer, boolean resume) throws IOException {
        Path state = file("state.safetensors");
        if (!Files.exists(state)) {
            Files.writeString(file("recipe.yaml"), recipe.toYaml());
            Files.deleteIfExists(file("metrics.jsonl"));
        } else if (!resume) {
            throw new ConfigurationException(
                    folder + ": holds a training already; --resume goes on with it, or name another folder.");
        } else if (!Files.readString(file("recipe.yaml")).equals(recipe.toYaml())) {
            throw new ConfigurationException(folder + ": was begun with another recipe, " + file("recipe.yaml") + ".");
        } else {
            restore(trainer, state);
        }
    }

    private void log(Trainer.Epoch epoch, Metrics metrics) throws IOException {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("epoch", epoch.number());
        line.put("loss", epoch.loss());
        line.put("learning_rate", epoch.learningRate());
        line.put("clips_per_second", epoch.clips() / epoch.seconds());
        if (metrics != null) {
            line.put("accuracy", metrics.accuracy());
            line.put("mAP", metrics.meanAveragePrecision());
            line.put("mAUC", metrics.meanAreaUnderCurve());
        }
        Files.writeString(file("metrics.jsonl"), JSON.writeValueAsString(line) + "\n", StandardOpenOption.CREATE,
                StandardOpenOption.APPEND);
    }

    private void save(Trainer trainer) {
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        trainer.state().forEach(
                (name, tensor) -> tensors.put(name, RawTensor.of(Tensors.toFloats(tensor), Tensors.shape(tensor))));
        Safetensors.write(file("state.safetensors"), tensors,
                Map.of(EPOCHS, Integer.toString(trainer.finishedEpochs()), STEPS, Long.toString(trainer.steps()),
                        "best", Double.toString(best)));
    }

    private void restore(Trainer trainer, Path state) throws IOException {
        try (TensorFile saved = Safetensors.open(state); var _ = new PointerScope(); var _ = new NoGradGuard()) {
            for (Map.Entry<String, Tensor> entry : trainer.state().entrySet()) {
                RawTensor tensor = saved.tensors().get(entry.getKey());
                entry.getValue().copy_(Tensors.of(tensor.toFloats(), Tensors.shape(entry.getValue())));
            }
            int epochs = Integer.parseInt(saved.metadata().get(EPOCHS));
            best = Double.parseDouble(saved.metadata().get("best"));
            trainer.resume(epochs, Long.parseLong(saved.metadata().get(STEPS)));
            // Epochs that were done after the state was saved are done again.
            List<String> lines = Files.readAllLines(file("metrics.jsonl"));
            Files.write(file("metrics.jsonl"), lines.subList(0, Math.min(epochs, lines.size())));
        }
    }
}

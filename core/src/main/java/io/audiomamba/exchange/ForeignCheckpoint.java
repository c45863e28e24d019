package io.audiomamba.exchange;

import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.KeyNames;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.Safetensors;
import io.audiomamba.checkpoint.StoredWeights;
import io.audiomamba.checkpoint.TensorFile;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.file.Sha256;
import io.audiomamba.labels.AudioSet;
import io.audiomamba.labels.Labels;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Variants;
import io.audiomamba.torch.Tensors;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A checkpoint that anybody wrote, seen as one of this project's: its architecture is recognised, its tensors have their
 * official names and shapes, and what it does not say of itself is filled in.
 */
public final class ForeignCheckpoint implements AutoCloseable {

    private final TensorFile file;
    private final Map<String, RawTensor> tensors;
    private final Description description;

    private ForeignCheckpoint(String name, TensorFile file) {
        this.file = file;
        Map<String, RawTensor> official = KeyNames.official(file.tensors());
        Description own = Description.isIn(file.metadata()) ? Description.fromMetadata(name, file.metadata()) : null;
        ModelConfig model = own == null ? Architecture.of(name, official) : own.model();
        this.tensors = fitting(name, model, official);
        this.description = own == null ? describe(model) : own;
    }

    /**
     * Opens safetensors, an index of safetensors shards, or what {@code torch.save} writes, from which nothing is run.
     *
     * @throws CheckpointException if it cannot be read, is damaged, or holds no model that this project knows
     */
    public static ForeignCheckpoint open(Path path) {
        TensorFile file = TensorFile.open(path);
        try {
            return new ForeignCheckpoint(path.toString(), file);
        } catch (RuntimeException e) {
            file.close();
            throw e;
        }
    }

    /**
     * Every tensor of the model, in the model's order; without memory of LibTorch's.
     *
     * @throws CheckpointException if those that there are do not fit it
     */
    static Map<String, RawTensor> fitting(String name, ModelConfig model, Map<String, RawTensor> official) {
        StoredWeights weights = new StoredWeights(name, official);
        Map<String, RawTensor> fitting = new LinkedHashMap<>();
        Parameters.Source noting = declaration -> {
            RawTensor raw = weights.fitting(declaration);
            // What may be absent is a count of batches.
            fitting.put(declaration.name(), raw == null
                    ? RawTensor.of(new float[1])
                    : raw.reshaped(IntStream.range(0, declaration.shape().length)
                            .mapToObj(d -> declaration.shape()[d]).toList()));
            return Tensors.empty(ScalarType.Float, 0); // a hostile file may declare any size
        };
        try (var _ = new PointerScope(); Parameters parameters = new Parameters(noting)) {
            new AudioMamba(model, parameters);
        }
        weights.requireFit();
        return fitting;
    }

    private Description describe(ModelConfig model) {
        Map<String, String> provenance = new LinkedHashMap<>();
        Variants.nameOf(model).ifPresent(variant -> provenance.put("variant", variant));
        provenance.put("source", file.files().stream().map(f -> f.getFileName().toString())
                .collect(Collectors.joining(", ")));
        provenance.put("source SHA-256", file.files().stream().map(Sha256::of).collect(Collectors.joining(", ")));
        boolean images = model.input() == InputKind.IMAGE;
        return new Description(model, Description.frontEndOf(model.input()), usualLabels(model),
                images ? Activation.SOFTMAX : Activation.SIGMOID, 1, provenance);
    }

    /** What a model with so many classes was trained on as a rule, else numbers. */
    private static List<String> usualLabels(ModelConfig model) {
        List<String> usual = Labels.read(model.input() == InputKind.IMAGE ? "imagenet" : "audioset");
        return usual.size() == model.classes()
                ? usual
                : IntStream.range(0, model.classes()).mapToObj(index -> "class " + index).toList();
    }

    /**
     * What the file says of itself, else what could be told from it: labels are AudioSet's or ImageNet's if there are as
     * many, probabilities those of a model that hears several classes at once (of images: of one class).
     */
    public Description description() {
        return description;
    }

    /**
     * {@link #description} with other labels.
     *
     * @param source where they come from, for the error
     * @throws ConfigurationException if they are not as many as the classes
     */
    public Description describedBy(List<String> labels, String source) {
        int classes = description.model().classes();
        if (labels.size() != classes) {
            throw new ConfigurationException(
                    source + ": names " + labels.size() + " classes, but the model has " + classes + ".");
        }
        return new Description(description.model(), description.frontEnd(), labels, description.activation(),
                description.temperature(), description.provenance());
    }

    /** Every tensor of the model under its official name, in the official shape and order; valid until this is closed. */
    public Map<String, RawTensor> tensors() {
        return tensors;
    }

    /** The type that the tensors are written in: half precision if that is what all of them have. */
    public DType type() {
        boolean half = tensors.values().stream().allMatch(t -> t.type() == DType.F16 || t.shape().isEmpty());
        return half ? DType.F16 : DType.F32;
    }

    /**
     * Writes this project's form as a whole or not at all.
     *
     * @throws EnvironmentException if it cannot be written
     */
    public void write(Path path, Description as) {
        Map<String, RawTensor> converted = new LinkedHashMap<>();
        tensors.forEach(
                (name, tensor) -> converted.put(name, tensor.as(tensor.shape().isEmpty() ? DType.F32 : type())));
        Safetensors.write(path, converted, as.toMetadata());
    }

    @Override
    public void close() {
        file.close();
    }
}

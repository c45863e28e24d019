package io.audiomamba.checkpoint;

import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.Parameters;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import io.audiomamba.torch.Tensors;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** A model in a file that {@linkplain Description describes itself}: safetensors, or an export for PyTorch. */
public final class Checkpoint implements AutoCloseable {

    /**
     * A model that owns its weights.
     *
     * @param model      reads {@code parameters}
     * @param parameters to be closed when the model is used no more
     */
    public record Loaded(AudioMamba model, Parameters parameters) {}

    private final String name;
    private final TensorFile file;
    private final Map<String, RawTensor> tensors;
    private final Description description;

    private Checkpoint(String name, TensorFile file) {
        this.name = name;
        this.file = file;
        this.description = Description.fromMetadata(name, file.metadata());
        this.tensors = KeyNames.official(file.tensors());
    }

    /**
     * Maps a file.
     *
     * @throws CheckpointException with one sentence if it cannot be read, is damaged, or does not describe itself
     */
    public static Checkpoint open(Path path) {
        return of(path.toString(), TensorFile.open(path));
    }

    /**
     * Takes the content of a file, for a checkpoint that travels as a resource.
     *
     * @throws CheckpointException as {@link #open}
     */
    public static Checkpoint of(byte[] bytes, String name) {
        return of(name, Safetensors.of(MemorySegment.ofArray(bytes), name));
    }

    private static Checkpoint of(String name, TensorFile file) {
        try {
            return new Checkpoint(name, file);
        } catch (RuntimeException e) {
            file.close();
            throw e;
        }
    }

    /** What to call it in errors: its path, or the name of its model. */
    public String name() {
        return name;
    }

    /** What the file says of itself. */
    public Description description() {
        return description;
    }

    /** The stored tensors under their {@linkplain KeyNames#official official names}; valid until this is closed. */
    public Map<String, RawTensor> tensors() {
        return tensors;
    }

    /**
     * A model on the CPU with a copy of the weights, in float32.
     *
     * @throws CheckpointException if tensors are missing, unknown or of another shape, which it lists
     */
    public Loaded load() {
        StoredWeights weights = new StoredWeights(name, tensors);
        Parameters parameters = new Parameters(weights);
        try (var _ = new PointerScope()) {
            AudioMamba model = new AudioMamba(description.model(), parameters);
            weights.requireFit();
            return new Loaded(model, parameters);
        } catch (RuntimeException e) {
            parameters.close();
            throw e;
        }
    }

    /**
     * Writes a checkpoint as a whole or not at all.
     *
     * @param type F32 or F16, in which the weights are stored
     * @throws EnvironmentException if it cannot be written
     */
    public static void write(Path path, Description description, Map<String, Tensor> tensors, DType type) {
        ScalarType scalar = switch (type) {
            case F32 -> ScalarType.Float;
            case F16 -> ScalarType.Half;
            default -> throw new IllegalArgumentException("weights are stored as F32 or F16, not " + type);
        };
        try (var _ = new PointerScope()) {
            Map<String, RawTensor> raw = new LinkedHashMap<>();
            tensors.forEach((name, tensor) -> {
                boolean count = tensor.dim() == 0; // of batches: more than half precision can hold
                Tensor host = tensor.detach().cpu().to(count ? ScalarType.Float : scalar).contiguous();
                raw.put(name, new RawTensor(count ? DType.F32 : type,
                        Arrays.stream(Tensors.shape(host)).boxed().toList(), Tensors.memory(host)));
            });
            Safetensors.write(path, raw, description.toMetadata());
        }
    }

    @Override
    public void close() {
        file.close();
    }
}

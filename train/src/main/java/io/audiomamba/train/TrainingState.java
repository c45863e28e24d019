package io.audiomamba.train;

import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.Safetensors;
import io.audiomamba.checkpoint.StoredWeights;
import io.audiomamba.checkpoint.TensorFile;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.torch.Tensors;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

/**
 * The file from which an interrupted training goes on exactly: weights, the optimiser's and other averages, and where in
 * which epoch it was.
 */
final class TrainingState {

    private TrainingState() {}

    /**
     * Written as a whole or not at all.
     *
     * @param notes further strings to keep
     * @throws EnvironmentException if it cannot be written
     */
    static void save(Path file, Trainer trainer, Map<String, String> notes) {
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        Map<String, String> metadata = new LinkedHashMap<>(notes);
        metadata.putAll(trainer.position().toMetadata());
        try (var _ = new PointerScope()) {
            trainer.state().forEach((name, tensor) -> {
                Tensor host = tensor.detach().cpu().contiguous();
                tensors.put(name, new RawTensor(DType.F32, shape(host), Tensors.memory(host)));
            });
            Safetensors.write(file, tensors, metadata);
        }
    }

    private static List<Long> shape(Tensor tensor) {
        return Arrays.stream(Tensors.shape(tensor)).boxed().toList();
    }

    /**
     * Brings {@code trainer} to where it was.
     *
     * @return the notes
     * @throws CheckpointException if the file cannot be read, or is of another model
     */
    static Map<String, String> restore(Path file, Trainer trainer) {
        try (TensorFile saved = Safetensors.open(file); var _ = new PointerScope(); var _ = new NoGradGuard()) {
            trainer.state().forEach((name, tensor) -> {
                RawTensor raw = saved.tensors().get(name);
                if (raw == null || !raw.shape().equals(shape(tensor))) {
                    throw new CheckpointException(file + ": is the state of another model: " + name
                            + (raw == null ? " is missing." : " is " + raw.shape() + ", not " + shape(tensor) + "."));
                }
                tensor.copy_(StoredWeights.load(raw, Tensors.shape(tensor)));
            });
            trainer.resume(Position.of(file.toString(), saved.metadata()));
            return Map.copyOf(saved.metadata());
        }
    }
}

package io.audiomamba.exchange;

import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.KeyNames;
import io.audiomamba.checkpoint.Naming;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.Safetensors;
import io.audiomamba.checkpoint.TorchFileWriter;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.Downsampling;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.ModelConfig.PatchEmbedding;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** A checkpoint for other people's code, which loads it strictly. What describes it travels in it, out of their way. */
public final class Export {

    /** Kinds of files. */
    public enum Format {
        /** What {@code torch.save} writes. */
        PTH,
        /** Hugging Face's. */
        SAFETENSORS
    }

    /** Where VMamba's training checkpoints keep the model. */
    private static final String VMAMBA_KEY = "model";
    /** Counts of batches are whole numbers in PyTorch. */
    private static final String COUNT = "num_batches_tracked";

    private Export() {}

    /**
     * Writes a file as a whole or not at all.
     *
     * @param type F32 or F16
     * @throws ConfigurationException if {@code naming} has no names for such a model
     * @throws CheckpointException    if the weights do not fit the model, or {@code type}
     * @throws EnvironmentException   if the file cannot be written
     */
    public static void write(Checkpoint checkpoint, Path file, Format format, Naming naming, DType type) {
        Description description = checkpoint.description();
        requireNames(description.model(), naming);
        Map<String, RawTensor> converted = new LinkedHashMap<>();
        ForeignCheckpoint.fitting(checkpoint.name(), description.model(), checkpoint.tensors())
                .forEach((name, tensor) -> {
                    RawTensor result = tensor.as(name.endsWith(COUNT) ? DType.I64 : type);
                    requireFinite(checkpoint.name() + ": " + name, tensor, result);
                    converted.put(name, result);
                });
        Map<String, RawTensor> named = KeyNames.foreign(converted, naming);
        switch (format) {
            case PTH -> TorchFileWriter.write(file, naming == Naming.VMAMBA ? VMAMBA_KEY : null, named,
                    description.toMetadata());
            case SAFETENSORS -> Safetensors.write(file, named, description.toMetadata());
        }
    }

    private static void requireNames(ModelConfig model, Naming naming) {
        boolean likeDass = model.input() == InputKind.FILTER_BANK && model.head() == HeadKind.LINEAR
                && model.patchEmbedding() == PatchEmbedding.V2 && model.downsampling() == Downsampling.V3;
        if (naming != Naming.VMAMBA && !likeDass) {
            throw new ConfigurationException("Only models like dass_small, on filter banks with a linear head, have"
                    + " names in DASS's code: export this one with the names of vmamba.");
        }
    }

    /** Half precision ends at 65,504. */
    private static void requireFinite(String name, RawTensor from, RawTensor to) {
        if (to.type() != DType.F16 || from.type() == DType.F16) {
            return;
        }
        for (long i = 0; i < to.elements(); i++) {
            if (Double.isInfinite(to.get(i)) && Double.isFinite(from.get(i))) {
                throw new CheckpointException(
                        name + " holds " + from.get(i) + ", too large for f16: export it as f32.");
            }
        }
    }
}

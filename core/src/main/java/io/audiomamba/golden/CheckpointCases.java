package io.audiomamba.golden;

import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.KeyNames;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.StoredWeights;
import io.audiomamba.checkpoint.TensorFile;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.exchange.ForeignCheckpoint;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.bytedeco.pytorch.Tensor;

/** Files that {@code torch.save} wrote. */
final class CheckpointCases {

    private CheckpointCases() {}

    /**
     * Every tensor of a file has its official name and the value that the generator gives for that name; one that holds
     * a whole model is imported, and the model loaded from what was written.
     */
    static void pth(GoldenCase golden) {
        Map<String, long[]> declared = declarations(golden.sizedVariant("variant"));
        if (golden.flag("complete")) {
            imported(golden.path(), model -> model.parameters().tensors()
                    .forEach((name, tensor) -> compare(golden, declared, name, tensor)));
            return;
        }
        try (TensorFile file = TensorFile.open(golden.path())) {
            Map<String, RawTensor> stored = KeyNames.official(file.tensors());
            stored.forEach((name, tensor) -> compare(golden, declared, name,
                    StoredWeights.load(tensor, declared.getOrDefault(name, new long[0]))));
        }
    }

    private static void compare(GoldenCase golden, Map<String, long[]> declared, String name, Tensor tensor) {
        long[] shape = declared.get(name);
        if (shape == null) {
            throw new ConfigurationException("the model has no tensor '" + name + "'");
        }
        golden.compare(name, tensor,
                golden.onDevice(Generator.weights(name, shape, golden.text("weights_salt")), shape));
    }

    private static Map<String, long[]> declarations(ModelConfig config) {
        Map<String, long[]> shapes = new LinkedHashMap<>();
        Parameters.Source shapesOnly = Parameters.Source.shapesOnly();
        try (Parameters parameters = new Parameters(declaration -> {
            shapes.put(declaration.name(), declaration.shape());
            return shapesOnly.tensor(declaration);
        })) {
            new AudioMamba(config, parameters);
        }
        return shapes;
    }

    /**
     * DASS with the weights of a file gives the reference's logits, and the same logits to the last bit once the file
     * has been imported.
     */
    static void dass(GoldenCase golden) {
        Path path = golden.folder().resolve(golden.text("checkpoint"));
        Tensor input = ModelCases.batched(golden.tensor("input"));
        Pass pass = new Pass(golden.kernel(), false);
        try (TensorFile file = TensorFile.open(path)) {
            StoredWeights weights = new StoredWeights(path.getFileName().toString(),
                    KeyNames.official(file.tensors()));
            try (Parameters parameters = new Parameters(weights)) {
                AudioMamba model = new AudioMamba(ModelCases.onFilterBank(golden.sizedVariant("backbone")), parameters);
                weights.requireFit();
                parameters.to(golden.device());
                Tensor logits = golden.run(() -> model.forward(input, pass)).clip();
                ModelCases.compareLogits(golden, logits);
                imported(path, again -> {
                    again.parameters().to(golden.device());
                    golden.compare("imported", golden.run(() -> again.model().forward(input, pass)).clip(), logits);
                });
            }
        }
    }

    /** The model in what an import of {@code file} writes. */
    private static void imported(Path file, Consumer<Checkpoint.Loaded> use) {
        try {
            Path written = Files.createTempFile("imported", ".safetensors");
            try (ForeignCheckpoint foreign = ForeignCheckpoint.open(file)) {
                foreign.write(written, foreign.description());
                try (Checkpoint checkpoint = Checkpoint.open(written)) {
                    Checkpoint.Loaded loaded = checkpoint.load();
                    try (Parameters _ = loaded.parameters()) {
                        use.accept(loaded);
                    }
                }
            } finally {
                Files.delete(written);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}

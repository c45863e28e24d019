package io.audiomamba.golden;

import io.audiomamba.checkpoint.KeyNames;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.StoredWeights;
import io.audiomamba.checkpoint.TensorFile;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/** Files that {@code torch.save} wrote. */
final class CheckpointCases {

    private CheckpointCases() {}

    /** Every tensor of a file has its official name and the value that the generator gives for that name. */
    static void pth(GoldenCase golden) {
        Path path = golden.path();
        try (TensorFile file = TensorFile.open(path)) {
            Map<String, RawTensor> stored = KeyNames.official(file.tensors());
            Map<String, long[]> declared = declarations(golden.sizedVariant("variant"));
            if (golden.flag("complete")) {
                StoredWeights weights = new StoredWeights(path.getFileName().toString(), stored);
                declared.forEach((name, shape) -> weights.tensor(new Parameters.Declaration(name, shape, null)));
                weights.requireFit();
            }
            stored.forEach((name, tensor) -> {
                long[] shape = declared.get(name);
                if (shape == null) {
                    throw new ConfigurationException("the model has no tensor '" + name + "'");
                }
                Tensor expected = golden.onDevice(Generator.weights(name, shape, golden.text("weights_salt")), shape);
                golden.compare(name, StoredWeights.load(tensor, shape), expected);
            });
        }
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

    /** DASS with the weights of a file gives the reference's logits. */
    static void dass(GoldenCase golden) {
        Path path = golden.folder().resolve(golden.text("checkpoint"));
        try (TensorFile file = TensorFile.open(path)) {
            StoredWeights weights = new StoredWeights(path.getFileName().toString(),
                    KeyNames.official(file.tensors()));
            try (Parameters parameters = new Parameters(weights)) {
                AudioMamba model = new AudioMamba(ModelCases.onFilterBank(golden.sizedVariant("backbone")), parameters);
                weights.requireFit();
                parameters.to(golden.device());
                Tensor input = ModelCases.batched(golden.tensor("input"));
                ModelCases.compareLogits(golden, model.forward(input, new Pass(golden.kernel(), false)).clip());
            }
        }
    }
}

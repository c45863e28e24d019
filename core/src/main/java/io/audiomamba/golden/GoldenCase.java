package io.audiomamba.golden;

import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.Safetensors;
import io.audiomamba.checkpoint.TensorFile;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfigJson;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Variants;
import io.audiomamba.scan.ScanKernel;
import io.audiomamba.torch.Tensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/**
 * One reference file while it is being checked: gives the operands, and takes the results and compares them.
 */
final class GoldenCase implements AutoCloseable {

    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path folder;
    private final JsonNode run;
    private final Path path;
    private final TensorFile file;
    private final ScanKernel kernel;
    private final Device device;
    private final Precision precision;
    private final List<Comparison> comparisons = new ArrayList<>();

    /**
     * @param folder what the index describes
     * @param file   of the folder: reference outputs, or a foreign checkpoint that is itself what is checked
     * @param run    what is to be done
     */
    GoldenCase(Path folder, String file, JsonNode run, ScanKernel kernel, Device device,
            Precision precision) {
        this.folder = folder;
        this.run = run;
        this.path = folder.resolve(file);
        this.file = TensorFile.open(path);
        this.kernel = kernel;
        this.device = device;
        this.precision = precision;
    }

    ScanKernel kernel() {
        return kernel;
    }

    Path folder() {
        return folder;
    }

    /** The case's own file. */
    Path path() {
        return path;
    }

    List<Comparison> comparisons() {
        return comparisons;
    }

    /** A text of the run's description. */
    String text(String name) {
        return setting(name).asString();
    }

    /** A text of the run's description, or {@code otherwise} if it does not state it. */
    String text(String name, String otherwise) {
        return run.path(name).asString(otherwise);
    }

    /** A whole number of the run's description. */
    int number(String name) {
        return setting(name).asInt();
    }

    /** A yes or no of the run's description. */
    boolean flag(String name) {
        return setting(name).asBoolean();
    }

    JsonNode setting(String name) {
        JsonNode value = run.get(name);
        if (value == null) {
            throw new ConfigurationException("the case does not state its '" + name + "'");
        }
        return value;
    }

    boolean has(String tensor) {
        return file.tensors().containsKey(tensor);
    }

    /** The names of this file's tensors. */
    List<String> names() {
        return List.copyOf(file.tensors().keySet());
    }

    RawTensor raw(String tensor) {
        RawTensor raw = file.tensors().get(tensor);
        if (raw == null) {
            throw new ConfigurationException("the file has no tensor '" + tensor + "'");
        }
        return raw;
    }

    /** A float32 copy on the device. */
    Tensor tensor(String name) {
        return onDevice(raw(name));
    }

    Tensor onDevice(RawTensor raw) {
        return onDevice(raw.toFloats(), raw.shape().stream().mapToLong(Long::longValue).toArray());
    }

    Tensor onDevice(float[] values, long... shape) {
        return Tensors.of(values, shape).to(device, ScalarType.Float);
    }

    /**
     * The operand that the run's setting {@code name} describes: a tensor of this file, of another file, or generated.
     *
     * @param shape of a generated one, unless the description gives it
     */
    Tensor operand(String name, long... shape) {
        JsonNode from = setting(name);
        if (from.has("generated")) {
            long[] stated = from.has("shape")
                    ? from.get("shape").valueStream().mapToLong(JsonNode::longValue).toArray()
                    : shape;
            long size = 1;
            for (long length : stated) {
                size *= length;
            }
            return onDevice(Generator.values(from.get("generated").asString(), size), stated);
        }
        String tensor = from.get("tensor").asString();
        if (!from.has("file")) {
            return tensor(tensor);
        }
        try (TensorFile other = Safetensors.open(folder.resolve(from.get("file").asString()))) {
            return onDevice(other.tensors().get(tensor));
        }
    }

    /** The model variant called {@code name}: the folder's own description of it, else ours. */
    ModelConfig variant(String name) {
        Path description = folder.resolve("variants").resolve(name + ".json");
        return Files.exists(description)
                ? ModelConfigJson.read(JSON.readTree(description.toFile()).get("constructor"))
                : Variants.named(name);
    }

    /** The variant that the run's setting {@code name} names, with the channels and classes that the run states. */
    ModelConfig sizedVariant(String name) {
        ModelConfig variant = variant(text(name));
        int channels = run.path("in_chans").asInt(variant.inChannels());
        int classes = run.path("classes").asInt(variant.classes());
        return variant.sized(channels, classes);
    }

    /** Generated parameters. They must be moved to the device once the model has declared them. */
    static Parameters generated(String salt) {
        return new Parameters(declaration -> Tensors
                .of(Generator.weights(declaration.name(), declaration.shape(), salt), declaration.shape()));
    }

    Device device() {
        return device;
    }

    /** Runs a model, or a part of one, in the precision of the case. */
    <T> T run(Supplier<T> model) {
        return precision.run(device, model);
    }

    /** An operand of the scan in the type in which a model would hand it over. */
    Tensor scanned(Tensor operand) {
        return precision.scanned(operand);
    }

    /** Compares with a tensor that is expected bit for bit. */
    void compare(String quantity, Tensor actual, Tensor expected) {
        compare(quantity, Tensors.toDoubles(actual), Tensors.toDoubles(expected), 0);
    }

    /** Compares with the tensor called {@code reference}, with the tolerance for the precision of the case. */
    void compare(String reference, Tensor actual, Tolerance tolerance) {
        compare(reference, actual, tolerance.in(precision));
    }

    /** Compares with the tensor called {@code reference}, relative to its largest entry. */
    void compare(String reference, Tensor actual, double tolerance) {
        compare(reference, Tensors.toDoubles(actual), raw(reference).toDoubles(), tolerance);
    }

    void compare(String reference, double[] actual, double tolerance) {
        compare(reference, actual, raw(reference).toDoubles(), tolerance);
    }

    void compare(String quantity, double[] actual, double[] expected, double tolerance) {
        comparisons.add(Comparison.of(quantity, actual, expected, tolerance));
    }

    @Override
    public void close() {
        file.close();
    }
}

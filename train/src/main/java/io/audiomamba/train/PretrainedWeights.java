package io.audiomamba.train;

import io.audiomamba.Models;
import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.StoredWeights;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.exchange.ForeignCheckpoint;
import io.audiomamba.file.Sha256;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Variants;
import io.audiomamba.torch.Tensors;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.bytedeco.pytorch.Tensor;

/**
 * The weights of a checkpoint, as far as they fit the new model: tensors of the same name and shape are taken over, a
 * patch embedding for colours is summed to the one channel of a spectrogram (as DASS and AST do), and the head is taken
 * over only by a model of the same classes. Everything else begins at random.
 */
public final class PretrainedWeights implements InitialWeights, AutoCloseable {

    private static final String PATCHES = "patch_embed.0.weight";
    private static final String BACKBONE = "layers.";
    /** What the last normalisation is called with the one head and the other. */
    private static final String LINEAR_NORM = "classifier.norm.";
    private static final String TOKEN_SEMANTIC_NORM = "norm.";
    private static final List<String> HEADS = List.of("classifier.head.", "tscam_conv.", "head.");

    private final String name;
    private final List<String> classes;
    private final Description description;
    private final Map<String, RawTensor> stored;
    private final Runnable release;
    private final List<String> loaded = new ArrayList<>();
    private final List<String> fresh = new ArrayList<>();
    private final Set<String> unused = new LinkedHashSet<>();
    private long loadedValues;
    private boolean summed;

    private PretrainedWeights(String name, List<String> classes, Description description,
            Map<String, RawTensor> stored, Runnable release) {
        this.name = name;
        this.classes = classes;
        this.description = description;
        this.stored = stored;
        this.release = release;
    }

    /**
     * Opens a checkpoint of this project or of VMamba's or DASS's authors.
     *
     * @param nameOrFile a file, or the name of an installed model
     * @param classes    of the new model
     * @throws CheckpointException if it cannot be used
     */
    public static PretrainedWeights of(String nameOrFile, List<String> classes) {
        Optional<Path> path = Models.file(nameOrFile);
        if (path.isPresent()) {
            ForeignCheckpoint file = ForeignCheckpoint.open(path.get());
            return new PretrainedWeights(nameOrFile, classes, file.description(), file.tensors(), file::close);
        }
        Checkpoint model = Models.open(nameOrFile);
        return new PretrainedWeights(nameOrFile, classes, model.description(), model.tensors(), model::close);
    }

    /** The name of the architecture that all of it fits, if that has one. */
    public Optional<String> variant() {
        return Variants.nameOf(description.model());
    }

    /** @throws CheckpointException later, of {@link #provenance}, if nothing of the backbone fits */
    @Override
    public Parameters.Source source(ModelConfig model, Parameters.Source random) {
        loaded.clear();
        fresh.clear();
        loadedValues = 0;
        summed = false;
        unused.addAll(stored.keySet());
        boolean sameClasses = description.labels().equals(classes);
        return declaration -> {
            Tensor tensor = sameClasses || !isHead(declaration.name()) ? fitting(declaration) : null;
            if (tensor == null) {
                fresh.add(declaration.name());
                return random.tensor(declaration);
            }
            loaded.add(declaration.name());
            loadedValues += declaration.size();
            return tensor;
        };
    }

    private static boolean isHead(String name) {
        return HEADS.stream().anyMatch(name::startsWith);
    }

    private Tensor fitting(Parameters.Declaration declaration) {
        String source = stored.containsKey(declaration.name()) ? declaration.name() : otherName(declaration.name());
        RawTensor raw = stored.get(source);
        if (raw == null) {
            return null;
        }
        long[] shape = declaration.shape();
        if (StoredWeights.sameShape(raw, declaration)) {
            unused.remove(source);
            return StoredWeights.load(raw, shape);
        }
        boolean colours = declaration.name().equals(PATCHES) && raw.shape().size() == 4 && shape[1] == 1
                && raw.elements() == raw.shape().get(1) * declaration.size();
        if (!colours) {
            return null;
        }
        unused.remove(source);
        summed = true;
        long[] inColour = raw.shape().stream().mapToLong(Long::longValue).toArray();
        return Tensors.scoped(() -> StoredWeights.load(raw, inColour).sum(new long[] {1}, true,
                new org.bytedeco.pytorch.ScalarTypeOptional()));
    }

    private static String otherName(String name) {
        return name.startsWith(TOKEN_SEMANTIC_NORM)
                ? LINEAR_NORM + name.substring(TOKEN_SEMANTIC_NORM.length())
                : name.startsWith(LINEAR_NORM) ? name.substring("classifier.".length()) : name;
    }

    @Override
    public List<String> report() {
        List<String> lines = new ArrayList<>();
        lines.add(
                String.format(Locale.ROOT, "%d tensors, %,d values, loaded from %s", loaded.size(), loadedValues, name)
                        + (summed ? ", the patch embedding summed over its colours." : "."));
        if (!fresh.isEmpty()) {
            lines.add(fresh.size() + " tensors begin at random: " + modules(fresh) + ".");
        }
        if (!unused.isEmpty()) {
            lines.add(unused.size() + " tensors of the checkpoint are not used: " + modules(unused) + ".");
        }
        return lines;
    }

    /** The layers that the tensors belong to. */
    private static String modules(Iterable<String> names) {
        Set<String> modules = new TreeSet<>();
        names.forEach(n -> modules.add(n.startsWith(BACKBONE)
                ? n.replaceAll("^(layers\\.\\d+(\\.blocks\\.\\d+|\\.downsample)?).*", "$1")
                : n.contains(".") ? n.substring(0, n.lastIndexOf('.')) : n));
        return modules.stream().collect(Collectors.joining(", "));
    }

    @Override
    public String provenance() {
        if (loaded.stream().noneMatch(n -> n.startsWith(BACKBONE))) {
            throw new CheckpointException(name + ": nothing of it fits the model: it holds "
                    + variant().orElse("another architecture")
                    + "; give the model that architecture (model.preset of the recipe).");
        }
        String hash = description.provenance().get("source SHA-256");
        return String.join(" ", report()) + (hash == null ? "" : " SHA-256 of the source: " + hash + ".");
    }

    @Override
    public String fingerprint() {
        Sha256 hash = new Sha256();
        stored.values().forEach(tensor -> hash.add(tensor.data().asByteBuffer()));
        return "SHA-256 " + hash.digits();
    }

    @Override
    public void close() {
        release.run();
    }
}

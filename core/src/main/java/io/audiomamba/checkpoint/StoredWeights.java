package io.audiomamba.checkpoint;

import io.audiomamba.error.CheckpointException;
import io.audiomamba.model.Parameters;
import io.audiomamba.torch.Tensors;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Gives a model the tensors of a file. What does not fit is noted while the model declares its tensors, and told at
 * once by {@link #requireFit}; until then the model must not be used.
 */
public final class StoredWeights implements Parameters.Source {

    private static final int NAMES_TOLD = 4;

    private final String file;
    private final Map<String, RawTensor> stored;
    private final Set<String> unexpected;
    private final List<String> missing = new ArrayList<>();
    private final List<String> misfits = new ArrayList<>();

    /**
     * @param file   what to call it in errors
     * @param stored under {@linkplain KeyNames#official official names}
     */
    public StoredWeights(String file, Map<String, RawTensor> stored) {
        this.file = file;
        this.stored = stored;
        this.unexpected = new LinkedHashSet<>(stored.keySet());
    }

    @Override
    public Tensor tensor(Parameters.Declaration declaration) {
        // Files written before PyTorch 1.0 do not count batches, and nothing in a forward pass reads the count.
        if (isBatchCount(declaration.name()) && !stored.containsKey(declaration.name())) {
            return Tensors.scoped(() -> Tensors.empty(ScalarType.Float, declaration.shape()).zero_());
        }
        RawTensor raw = fitting(declaration);
        // A stand-in of no size: a hostile file may declare any.
        return raw == null ? Tensors.empty(ScalarType.Float, 0) : load(raw, declaration.shape());
    }

    /** The stored tensor for {@code declaration}, or null where that does not fit, which is noted. */
    public RawTensor fitting(Parameters.Declaration declaration) {
        String name = declaration.name();
        RawTensor raw = stored.get(name);
        unexpected.remove(name);
        if (raw == null) {
            if (!isBatchCount(name)) {
                missing.add(name);
            }
        } else if (!sameShape(raw, declaration)) {
            misfits.add(name + " is " + raw.shape() + " instead of " + Arrays.toString(declaration.shape()));
        } else if (!isFloating(raw.type()) && !isBatchCount(name)) {
            misfits.add(name + " is of type " + raw.type() + ", not of a floating-point one");
        } else {
            return raw;
        }
        return null;
    }

    private static boolean isBatchCount(String name) {
        return name.endsWith("num_batches_tracked");
    }

    /** A float32 copy of {@code raw}. */
    public static Tensor load(RawTensor raw, long... shape) {
        ScalarType type = switch (raw.type()) {
            case F64 -> ScalarType.Double;
            case F32 -> ScalarType.Float;
            case F16 -> ScalarType.Half;
            case BF16 -> ScalarType.BFloat16;
            case I64 -> ScalarType.Long;
            case I32 -> ScalarType.Int;
            case I16 -> ScalarType.Short;
            case I8 -> ScalarType.Char;
            case U8 -> ScalarType.Byte;
            case BOOL -> ScalarType.Bool;
        };
        Tensor copy;
        try (var _ = new PointerScope()) {
            Tensor same = Tensors.empty(type, shape);
            MemorySegment.copy(raw.data(), 0, Tensors.memory(same), 0, raw.data().byteSize());
            copy = same.to(ScalarType.Float);
            copy.retainReference();
        }
        return Tensors.handOver(copy);
    }

    private static boolean isFloating(DType type) {
        return type == DType.F32 || type == DType.F16 || type == DType.BF16 || type == DType.F64;
    }

    /** VMamba's channels-first layers keep linear weights as 1 x 1 convolutions: trailing ones mean nothing. */
    public static boolean sameShape(RawTensor raw, Parameters.Declaration declaration) {
        List<Long> stored = raw.shape();
        long[] declared = declaration.shape();
        int rank = stored.size();
        while (rank > declared.length && stored.get(rank - 1) == 1) {
            rank--;
        }
        return Arrays.equals(stored.stream().limit(rank).mapToLong(Long::longValue).toArray(), declared);
    }

    /**
     * Call when the model has declared everything.
     *
     * @throws CheckpointException that lists what is missing, unexpected or of another shape
     */
    public void requireFit() {
        List<String> problems = new ArrayList<>();
        add(problems, missing, "missing");
        add(problems, List.copyOf(unexpected), "unknown to the model");
        add(problems, misfits, "unfit");
        if (!problems.isEmpty()) {
            throw new CheckpointException(file + ": does not fit the model: " + String.join("; ", problems) + ".");
        }
    }

    private static void add(List<String> problems, List<String> names, String what) {
        if (!names.isEmpty()) {
            String more = names.size() > NAMES_TOLD ? ", and " + (names.size() - NAMES_TOLD) + " more" : "";
            problems.add(names.size() + (names.size() == 1 ? " tensor is " : " tensors are ") + what + " ("
                    + String.join(", ", names.subList(0, Math.min(NAMES_TOLD, names.size()))) + more + ")");
        }
    }
}

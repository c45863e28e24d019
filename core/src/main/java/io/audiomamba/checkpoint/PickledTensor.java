package io.audiomamba.checkpoint;

import io.audiomamba.checkpoint.Unpickler.BadPickleException;
import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A tensor as a pickle describes it: a view of a storage whose bytes lie elsewhere.
 *
 * @param storage holds the elements
 * @param offset  of the first element, in elements
 * @param shape   lengths of the dimensions
 * @param strides distance between neighbours along each dimension, in elements
 */
record PickledTensor(Storage storage, long offset, List<Long> shape, List<Long> strides) {

    /**
     * A run of elements.
     *
     * @param key  its name in the file
     * @param type of the elements
     * @param size number of elements
     */
    record Storage(String key, DType type, long size) {}

    private static final Map<String, DType> STORAGES = Map.ofEntries(Map.entry("torch.DoubleStorage", DType.F64),
            Map.entry("torch.FloatStorage", DType.F32), Map.entry("torch.HalfStorage", DType.F16),
            Map.entry("torch.BFloat16Storage", DType.BF16), Map.entry("torch.LongStorage", DType.I64),
            Map.entry("torch.IntStorage", DType.I32), Map.entry("torch.ShortStorage", DType.I16),
            Map.entry("torch.CharStorage", DType.I8), Map.entry("torch.ByteStorage", DType.U8),
            Map.entry("torch.BoolStorage", DType.BOOL));
    private static final String TENSOR = "torch._utils._rebuild_tensor_v2";
    private static final String OLD_TENSOR = "torch._utils._rebuild_tensor";
    private static final String PARAMETER = "torch._utils._rebuild_parameter";
    /** As in PyTorch. A list of more would be copied again for each tensor. */
    private static final int MOST_DIMENSIONS = 64;
    private static final List<String> BUILDERS = List.of(TENSOR, OLD_TENSOR, PARAMETER);

    /** Element type of the storage class called {@code name}, or null if it is none. */
    static DType storageType(String name) {
        return STORAGES.get(name);
    }

    /** The class, in PyTorch's module, of storages of {@code type}. */
    static String storageClass(DType type) {
        return STORAGES.entrySet().stream().filter(entry -> entry.getValue() == type).findFirst().orElseThrow().getKey()
                .substring("torch.".length());
    }

    /** Whether {@code name} is a function of PyTorch that makes a tensor. */
    static boolean isBuilder(String name) {
        return BUILDERS.contains(name);
    }

    /** What the builder called {@code name} would make of its arguments. */
    static Object build(String name, List<?> arguments) {
        if (name.equals(PARAMETER)) {
            return arguments.getFirst();
        }
        if (!(arguments.get(0) instanceof Storage storage)) {
            throw new BadPickleException("one of its tensors has no storage");
        }
        return new PickledTensor(storage, number(arguments.get(1)), longs(arguments.get(2)), longs(arguments.get(3)));
    }

    /** A whole number that is not negative. */
    static long number(Object value) {
        if (value instanceof Long number && number >= 0) {
            return number;
        }
        if (value instanceof BigInteger) {
            throw new BadPickleException("one of its tensors has a size or position of more than 64 bits");
        }
        throw new BadPickleException("one of its tensors has the size or position "
                + (value instanceof Long ? value : Unpickler.typeOf(value)));
    }

    private static List<Long> longs(Object list) {
        List<?> numbers = (List<?>) list;
        if (numbers.size() > MOST_DIMENSIONS) {
            throw new BadPickleException("one of its tensors has " + numbers.size() + " dimensions");
        }
        List<Long> values = new ArrayList<>();
        for (Object value : numbers) {
            values.add(number(value));
        }
        return values;
    }

    /**
     * The tensor in row-major order: a view of {@code bytes} if it lies so already, else a copy.
     *
     * @param bytes  of the whole storage
     * @param budget for a copy
     * @throws BadPickleException if the view reaches beyond its storage
     */
    RawTensor read(MemorySegment bytes, MemoryBudget budget) {
        long elements = checkedElements();
        int width = storage.type().bytes();
        if (storage.size() > bytes.byteSize() / width) {
            throw new BadPickleException(
                    "storage " + storage.key() + " has " + bytes.byteSize() + " bytes, too few for "
                            + storage.size() + " elements (is the file truncated?)");
        }
        if (elements == 0) {
            return new RawTensor(storage.type(), shape, bytes.asSlice(0, 0));
        }
        if (isRowMajor()) {
            return new RawTensor(storage.type(), shape, bytes.asSlice(offset * width, elements * width));
        }
        MemorySegment copy = MemorySegment.ofArray(budget.take(elements * width, "a tensor " + shape));
        long[] index = new long[shape.size()];
        for (long i = 0; i < elements; i++) {
            long from = offset;
            for (int d = 0; d < index.length; d++) {
                from += index[d] * strides.get(d);
            }
            MemorySegment.copy(bytes, from * width, copy, i * width, width);
            for (int d = index.length - 1; d >= 0 && ++index[d] == shape.get(d); d--) {
                index[d] = 0;
            }
        }
        return new RawTensor(storage.type(), shape, copy);
    }

    private long checkedElements() {
        try {
            long last = offset;
            boolean valid = shape.size() == strides.size();
            for (int d = 0; valid && d < shape.size(); d++) {
                last = Math.addExact(last, Math.multiplyExact(Math.max(0, shape.get(d) - 1), strides.get(d)));
            }
            long elements = RawTensor.elements(shape);
            // A stride of 0 would let a few bytes stand for any number of elements.
            if (valid && elements <= storage.size() && (elements == 0 || last < storage.size())) {
                return elements;
            }
        } catch (ArithmeticException e) {
            // Too large for a long, so too large for its storage.
        }
        throw new BadPickleException("a tensor " + shape + " reaches beyond its storage " + storage.key() + " of "
                + storage.size() + " elements");
    }

    private boolean isRowMajor() {
        long expected = 1;
        for (int d = shape.size() - 1; d >= 0; d--) {
            if (shape.get(d) != 1 && strides.get(d) != expected) {
                return false;
            }
            expected *= shape.get(d);
        }
        return true;
    }
}

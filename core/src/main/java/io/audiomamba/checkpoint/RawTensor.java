package io.audiomamba.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/**
 * A stored tensor: its bytes and what they mean.
 *
 * @param type  of the elements
 * @param shape lengths of the dimensions; empty for a scalar
 * @param data  the elements, little-endian and in row-major order, possibly in a mapped file: valid until that is closed
 */
public record RawTensor(DType type, List<Long> shape, MemorySegment data) {

    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED
            .withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED
            .withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED
            .withOrder(ByteOrder.LITTLE_ENDIAN);

    /** @throws IllegalArgumentException if the bytes are not as many as type and shape need */
    public RawTensor {
        shape = List.copyOf(shape);
        if (data.byteSize() != elements(shape) * type.bytes()) {
            throw new IllegalArgumentException(data.byteSize() + " bytes for " + type + " " + shape);
        }
    }

    /** A float32 tensor with a copy of {@code values}. */
    public static RawTensor of(float[] values, long... shape) {
        MemorySegment data = MemorySegment.ofArray(new byte[Math.multiplyExact(values.length, Float.BYTES)]);
        MemorySegment.copy(MemorySegment.ofArray(values), ValueLayout.JAVA_FLOAT, 0, data, FLOAT, 0, values.length);
        return new RawTensor(DType.F32, java.util.Arrays.stream(shape).boxed().toList(), data);
    }

    /** The number of elements. */
    public long elements() {
        return elements(shape);
    }

    /** @throws ArithmeticException if the product does not fit a long */
    static long elements(List<Long> shape) {
        return shape.stream().reduce(1L, Math::multiplyExact);
    }

    /** The same data seen in another shape of equal size. */
    public RawTensor reshaped(List<Long> newShape) {
        return new RawTensor(type, newShape, data);
    }

    /**
     * The same values, rounded where they must be, as {@code newType}; this tensor itself if it is of that type already.
     *
     * @param newType F32, F16 or I64
     */
    public RawTensor as(DType newType) {
        if (newType == type) {
            return this;
        }
        int count = Math.toIntExact(elements());
        MemorySegment converted = MemorySegment.ofArray(new byte[Math.multiplyExact(count, newType.bytes())]);
        for (int i = 0; i < count; i++) {
            switch (newType) {
                case F32 -> converted.setAtIndex(FLOAT, i, (float) get(i));
                case F16 -> converted.setAtIndex(SHORT, i, Float.floatToFloat16((float) get(i)));
                case I64 -> converted.setAtIndex(LONG, i, (long) get(i));
                default -> throw new IllegalArgumentException("tensors are not converted to " + newType);
            }
        }
        return new RawTensor(newType, shape, converted);
    }

    /** The element at row-major position {@code index} as a double. */
    public double get(long index) {
        return switch (type) {
            case F64 -> data.getAtIndex(DOUBLE, index);
            case F32 -> data.getAtIndex(FLOAT, index);
            case F16 -> Float.float16ToFloat(data.getAtIndex(SHORT, index));
            case BF16 -> Float.intBitsToFloat(data.getAtIndex(SHORT, index) << 16);
            case I64 -> data.getAtIndex(LONG, index);
            case I32 -> data.getAtIndex(INT, index);
            case I16 -> data.getAtIndex(SHORT, index);
            case I8 -> data.get(ValueLayout.JAVA_BYTE, index);
            case U8, BOOL -> data.get(ValueLayout.JAVA_BYTE, index) & 0xff;
        };
    }

    /** All elements as float32. */
    public float[] toFloats() {
        float[] values = new float[Math.toIntExact(elements())];
        if (type == DType.F32) {
            MemorySegment.copy(data, FLOAT, 0, MemorySegment.ofArray(values), ValueLayout.JAVA_FLOAT, 0,
                    values.length);
        } else {
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) get(i);
            }
        }
        return values;
    }

    /** All elements as float64. */
    public double[] toDoubles() {
        double[] values = new double[Math.toIntExact(elements())];
        for (int i = 0; i < values.length; i++) {
            values[i] = get(i);
        }
        return values;
    }
}

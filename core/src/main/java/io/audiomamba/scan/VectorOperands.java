package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;
import static io.audiomamba.scan.VectorTile.STRIP;

import io.audiomamba.torch.Tensors;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** The operands of a scan as the vector kernel reads them: sizes, and memory of contiguous float32 tensors. */
final class VectorOperands {

    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    final int batch;
    final int height;
    final int width;
    final int channels;
    final int state;
    final int rank;
    /** Tokens of one grid. */
    final int length;
    /** Values that x_proj reads off a token for one direction: R + 2 N. */
    final int row;

    final MemorySegment tokens;
    final MemorySegment projections;
    final float[] dtWeight;
    final float[] dtBias;
    /** A = -exp(aLogs), (4 D, N). */
    final float[] a;
    final float[] skip;
    /** Keeps the memory of {@link #tokens} and {@link #projections} alive. */
    private final Tensor[] owners;

    VectorOperands(ScanInputs in) {
        batch = in.batch();
        height = in.height();
        width = in.width();
        channels = in.channels();
        state = in.stateSize();
        rank = in.rank();
        length = height * width;
        row = rank + 2 * state;
        owners = new Tensor[] {in.tokens().to(ScalarType.Float).contiguous(),
                in.projections().to(ScalarType.Float).contiguous()};
        tokens = Tensors.memory(owners[0]);
        projections = Tensors.memory(owners[1]);
        dtWeight = Tensors.toFloats(in.dtWeight());
        dtBias = Tensors.toFloats(in.dtBias());
        a = Tensors.toFloats(in.aLogs().exp().neg());
        skip = Tensors.toFloats(in.skip());
    }

    /** The place in the grid, row by row, of the token that direction {@code k} reads at time {@code t}. */
    int position(int k, int t) {
        int forwards = k < 2 ? t : length - 1 - t;
        return k % 2 == 0 ? forwards : forwards % height * width + forwards / height;
    }

    /** Index of the first value of direction {@code k} among the projections of a token of image {@code b}. */
    long projectionIndex(int b, int position, int k) {
        return (((long) b * length + position) * DIRECTIONS + k) * row;
    }

    /** Index of the first channel of a token of image {@code b}. */
    long tokenIndex(int b, int position) {
        return ((long) b * length + position) * channels;
    }

    /** Copies {@code count} values in; for so few, MemorySegment.copy costs several times as much. */
    static void read(MemorySegment memory, long index, float[] into, int at, int count) {
        int i = 0;
        for (; i <= count - LANES; i += LANES) {
            FloatVector.fromMemorySegment(SPECIES, memory, (index + i) * Float.BYTES, ORDER).intoArray(into, at + i);
        }
        for (; i < count; i++) {
            into[at + i] = memory.getAtIndex(ValueLayout.JAVA_FLOAT, index + i);
        }
    }

    /** Copies {@code count} values out. */
    static void write(float[] from, int at, MemorySegment memory, long index, int count) {
        int i = 0;
        for (; i <= count - LANES; i += LANES) {
            FloatVector.fromArray(SPECIES, from, at + i).intoMemorySegment(memory, (index + i) * Float.BYTES, ORDER);
        }
        for (; i < count; i++) {
            memory.setAtIndex(ValueLayout.JAVA_FLOAT, index + i, from[at + i]);
        }
    }

    /** Adds {@code count} values to memory. */
    static void add(float[] from, int at, MemorySegment memory, long index, int count) {
        for (int i = 0; i < count; i++) {
            float sum = memory.getAtIndex(ValueLayout.JAVA_FLOAT, index + i) + from[at + i];
            memory.setAtIndex(ValueLayout.JAVA_FLOAT, index + i, sum);
        }
    }

    /** Reads {@link VectorTile#STRIP} values of each of the first {@code count} places. */
    static void readStrip(MemorySegment memory, long[] places, int offset, float[] into, int at, int count) {
        for (int t = 0; t < count; t++) {
            for (int c = 0; c < STRIP; c += LANES) {
                at(memory, places[t] + offset + c).intoArray(into, at + t * STRIP + c);
            }
        }
    }

    /** Writes as many. */
    static void writeStrip(float[] from, int at, MemorySegment memory, long[] places, int offset, int count) {
        for (int t = 0; t < count; t++) {
            for (int c = 0; c < STRIP; c += LANES) {
                FloatVector.fromArray(SPECIES, from, at + t * STRIP + c).intoMemorySegment(memory,
                        (places[t] + offset + c) * Float.BYTES, ORDER);
            }
        }
    }

    /** Adds as many. */
    static void addStrip(float[] from, int at, MemorySegment memory, long[] places, int offset, int count) {
        for (int t = 0; t < count; t++) {
            for (int c = 0; c < STRIP; c += LANES) {
                long index = places[t] + offset + c;
                at(memory, index).add(FloatVector.fromArray(SPECIES, from, at + t * STRIP + c)).intoMemorySegment(
                        memory,
                        index * Float.BYTES, ORDER);
            }
        }
    }

    private static FloatVector at(MemorySegment memory, long index) {
        return FloatVector.fromMemorySegment(SPECIES, memory, index * Float.BYTES, ORDER);
    }
}

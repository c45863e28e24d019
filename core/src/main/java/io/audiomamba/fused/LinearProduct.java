package io.audiomamba.fused;

import static org.bytedeco.openblas.global.openblas.CblasNoTrans;
import static org.bytedeco.openblas.global.openblas.CblasRowMajor;
import static org.bytedeco.openblas.global.openblas.CblasTrans;

import io.audiomamba.torch.GradientTape;
import io.audiomamba.torch.Natives;
import io.audiomamba.torch.Tensors;
import io.audiomamba.torch.Workers;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.DeviceType;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * y = x W^T + b, for which LibTorch on a CPU calls OpenBLAS. Where no gradient is wanted, the product is cut into parts
 * that {@link Workers} compute, each on one thread of OpenBLAS. OpenBLAS' own threads wait for one another inside a
 * product, and spin meanwhile: as soon as another process wants a core, a product takes ten times as long.
 */
public final class LinearProduct {

    /** Rows or columns of a part: enough that to pack the other operand anew for each part costs little. */
    private static final long LEAST = 256;
    /** Parts for each thread at most, so that one that is late leaves its share to the others. */
    private static final int MOST_PARTS = 4;
    /** Multiplications that are not worth a second thread's waking. */
    private static final long SMALL = 1 << 20;
    /** What OpenBLAS' inner loops divide evenly. */
    private static final long UNIT = 16;

    private LinearProduct() {}

    /**
     * @param x      (..., in)
     * @param weight (out, in)
     * @param bias   (out), or null
     * @return (..., out)
     */
    public static Tensor apply(Tensor x, Tensor weight, Tensor bias) {
        if (isOurs(x, weight, bias)) {
            return inParts(x, weight, bias, false);
        }
        return whole(x, weight, bias);
    }

    /** The product as LibTorch computes it, with a gradient where one is wanted. */
    static Tensor whole(Tensor x, Tensor weight, Tensor bias) {
        if (x.is_cpu()) {
            Natives.setBlasThreads(torch.get_num_threads());
        }
        return bias == null ? torch.linear(x, weight) : torch.linear(x, weight, new TensorOptional(bias));
    }

    /** GELU of what {@link #apply} gives; the parts go through it while they are in the cache. */
    public static Tensor applyGelu(Tensor x, Tensor weight, Tensor bias) {
        return isOurs(x, weight, bias) && Workers.hasVectorApi()
                ? inParts(x, weight, bias, true)
                : Tensors.scoped(() -> FeedForward.gelu(apply(x, weight, bias)));
    }

    private static boolean isOurs(Tensor x, Tensor weight, Tensor bias) {
        Tensor[] operands = bias == null ? new Tensor[] {x, weight} : new Tensor[] {x, weight, bias};
        return x.numel() > 0 && Arrays.stream(operands).allMatch(LinearProduct::isFloatOnCpu)
                && !GradientTape.isNeededFor(operands) && !torch.is_autocast_enabled(DeviceType.CPU);
    }

    private static boolean isFloatOnCpu(Tensor tensor) {
        return tensor.is_cpu() && tensor.scalar_type().intern() == ScalarType.Float;
    }

    private static Tensor inParts(Tensor x, Tensor weight, Tensor bias, boolean gelu) {
        Natives.setBlasThreads(1);
        return Tensors.scoped(() -> {
            int out = Math.toIntExact(weight.size(0));
            int in = Math.toIntExact(weight.size(1));
            int rows = Math.toIntExact(x.numel() / in);
            long[] shape = Tensors.shape(x);
            shape[shape.length - 1] = out;
            Tensor y = Tensors.empty(ScalarType.Float, shape);
            Product product = new Product(x.contiguous(), weight.contiguous(), y,
                    bias == null ? null : bias.contiguous(), in, out, gelu);
            long length = Math.max(rows, out);
            long size = sizeOfParts(length, (long) rows * out * in);
            Workers.run((int) Math.ceilDiv(length, size), part -> {
                long from = part * size;
                int count = (int) Math.min(size, length - from);
                if (rows >= out) {
                    product.run(from, count, 0, out);
                } else {
                    product.run(0, rows, from, count);
                }
            });
            return y;
        });
    }

    private static long sizeOfParts(long length, long multiplications) {
        int threads = torch.get_num_threads();
        if (threads == 1 || multiplications < SMALL) {
            return length;
        }
        long parts = Math.clamp(length / LEAST, threads, (long) MOST_PARTS * threads);
        return Math.ceilDiv(Math.ceilDiv(length, parts), UNIT) * UNIT;
    }

    /** The operands, contiguous. */
    private record Product(Tensor x, Tensor weight, Tensor y, Tensor bias, int in, int out, boolean gelu) {

        /** Some rows of y, and some of its columns. */
        void run(long row, int rows, long column, int columns) {
            MemorySegment result = Tensors.memory(y);
            if (bias != null) {
                MemorySegment start = Tensors.memory(bias).asSlice(column * Float.BYTES, (long) columns * Float.BYTES);
                for (long r = row; r < row + rows; r++) {
                    MemorySegment.copy(start, 0, result, (r * out + column) * Float.BYTES, start.byteSize());
                }
            }
            openblas.cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, in, 1, pointer(x, row * in),
                    in,
                    pointer(weight, column * in), in, bias == null ? 0 : 1, pointer(y, row * out + column), out);
            if (gelu) {
                for (long r = row; r < row + rows; r++) {
                    Gelu.inPlace(result, r * out + column, columns);
                }
            }
        }

        private static FloatPointer pointer(Tensor tensor, long index) {
            return new FloatPointer(tensor.data_ptr()).getPointer(index);
        }
    }
}

package io.audiomamba.audio;

import static org.bytedeco.ffmpeg.global.avformat.AVSEEK_FORCE;
import static org.bytedeco.ffmpeg.global.avformat.AVSEEK_SIZE;
import static org.bytedeco.ffmpeg.global.avformat.avio_alloc_context;
import static org.bytedeco.ffmpeg.global.avformat.avio_context_free;
import static org.bytedeco.ffmpeg.global.avutil.AVERROR_EOF;
import static org.bytedeco.ffmpeg.global.avutil.av_free;
import static org.bytedeco.ffmpeg.global.avutil.av_malloc;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.bytedeco.ffmpeg.avformat.AVIOContext;
import org.bytedeco.ffmpeg.avformat.Read_packet_Pointer_BytePointer_int;
import org.bytedeco.ffmpeg.avformat.Seek_Pointer_long_int;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/** Bytes in memory as FFmpeg's only source: what it decodes cannot make it open a file or a connection. */
final class ByteInput implements AutoCloseable {

    private static final int BUFFER = 64 * 1024;

    // JavaCPP makes native pointers to ten Java callbacks of a kind and not one more, so all inputs share one callback,
    // which finds its input by the number that FFmpeg hands on.
    private static final Read READ = new Read();
    private static final Seek SEEK = new Seek();

    static {
        // Whoever decodes first may do so in a PointerScope, which frees at its end what was made in it.
        READ.retainReference();
        SEEK.retainReference();
    }

    private static final Map<Long, ByteInput> OPEN = new ConcurrentHashMap<>();
    private static final AtomicLong LAST = new AtomicLong();

    private final long number = LAST.incrementAndGet();
    private final MemorySegment bytes;
    /** Where FFmpeg reads next. */
    private long cursor;
    final AVIOContext context;

    ByteInput(MemorySegment bytes) {
        this.bytes = bytes;
        OPEN.put(number, this);
        context = avio_alloc_context(new BytePointer(av_malloc(BUFFER)).capacity(BUFFER), BUFFER, 0,
                new Number(number), READ, null, SEEK);
    }

    @Override
    public void close() {
        // FFmpeg may have replaced the buffer by a larger one.
        av_free(context.buffer());
        avio_context_free(context);
        OPEN.remove(number);
    }

    /** A number that goes through FFmpeg as if it were an address. */
    private static final class Number extends Pointer {
        Number(long number) {
            super((Pointer) null);
            address = number;
        }
    }

    private int read(BytePointer into, int size) {
        int count = (int) Math.min(size, bytes.byteSize() - cursor);
        if (count <= 0) {
            return AVERROR_EOF;
        }
        copy(into, count);
        cursor += count;
        return count;
    }

    @SuppressWarnings("restricted")
    private void copy(BytePointer into, int count) {
        MemorySegment target = MemorySegment.ofAddress(into.address()).reinterpret(count);
        MemorySegment.copy(bytes, cursor, target, 0, count);
    }

    private static final int FROM_HERE = 1;
    private static final int FROM_END = 2;

    private long seek(long offset, int whence) {
        int origin = whence & ~AVSEEK_FORCE;
        if (origin == AVSEEK_SIZE) {
            return bytes.byteSize();
        }
        long target = switch (origin) {
            case FROM_HERE -> cursor + offset;
            case FROM_END -> bytes.byteSize() + offset;
            default -> offset;
        };
        if (target < 0 || target > bytes.byteSize()) {
            return -1;
        }
        cursor = target;
        return target;
    }

    private static final class Read extends Read_packet_Pointer_BytePointer_int {
        @Override
        public int call(Pointer input, BytePointer into, int size) {
            return OPEN.get(input.address()).read(into, size);
        }
    }

    private static final class Seek extends Seek_Pointer_long_int {
        @Override
        public long call(Pointer input, long offset, int whence) {
            return OPEN.get(input.address()).seek(offset, whence);
        }
    }
}

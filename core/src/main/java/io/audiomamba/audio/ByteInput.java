package io.audiomamba.audio;

import static org.bytedeco.ffmpeg.global.avformat.AVSEEK_FORCE;
import static org.bytedeco.ffmpeg.global.avformat.AVSEEK_SIZE;
import static org.bytedeco.ffmpeg.global.avformat.avio_alloc_context;
import static org.bytedeco.ffmpeg.global.avformat.avio_context_free;
import static org.bytedeco.ffmpeg.global.avutil.AVERROR_EOF;
import static org.bytedeco.ffmpeg.global.avutil.av_free;
import static org.bytedeco.ffmpeg.global.avutil.av_malloc;

import java.lang.foreign.MemorySegment;
import org.bytedeco.ffmpeg.avformat.AVIOContext;
import org.bytedeco.ffmpeg.avformat.Read_packet_Pointer_BytePointer_int;
import org.bytedeco.ffmpeg.avformat.Seek_Pointer_long_int;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/** Bytes in memory as FFmpeg's only source: what it decodes cannot make it open a file or a connection. */
final class ByteInput implements AutoCloseable {

    private static final int BUFFER = 64 * 1024;

    private final MemorySegment bytes;
    /** Where FFmpeg reads next; not called position, which the callbacks inherit from Pointer. */
    private long cursor;
    /** FFmpeg calls these through pointers that it does not own. */
    private final Read read = new Read();
    private final Seek seek = new Seek();
    final AVIOContext context;

    ByteInput(MemorySegment bytes) {
        this.bytes = bytes;
        context = avio_alloc_context(new BytePointer(av_malloc(BUFFER)).capacity(BUFFER), BUFFER, 0, null, read, null,
                seek);
    }

    @Override
    public void close() {
        // FFmpeg may have replaced the buffer by a larger one.
        av_free(context.buffer());
        avio_context_free(context);
        read.close();
        seek.close();
    }

    private final class Read extends Read_packet_Pointer_BytePointer_int {
        @Override
        public int call(Pointer opaque, BytePointer into, int size) {
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
    }

    private final class Seek extends Seek_Pointer_long_int {
        private static final int FROM_HERE = 1;
        private static final int FROM_END = 2;

        @Override
        public long call(Pointer opaque, long offset, int whence) {
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
    }
}

package io.audiomamba.audio;

import static org.bytedeco.ffmpeg.global.avutil.AV_SAMPLE_FMT_FLT;
import static org.bytedeco.ffmpeg.global.avutil.av_channel_layout_default;
import static org.bytedeco.ffmpeg.global.swresample.swr_alloc_set_opts2;
import static org.bytedeco.ffmpeg.global.swresample.swr_convert;
import static org.bytedeco.ffmpeg.global.swresample.swr_free;
import static org.bytedeco.ffmpeg.global.swresample.swr_get_out_samples;
import static org.bytedeco.ffmpeg.global.swresample.swr_init;
import static org.bytedeco.ffmpeg.global.swresample.swr_inject_silence;
import static org.bytedeco.ffmpeg.global.swresample.swr_set_matrix;

import io.audiomamba.error.AudioException;
import java.util.Arrays;
import org.bytedeco.ffmpeg.avutil.AVChannelLayout;
import org.bytedeco.ffmpeg.swresample.SwrContext;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.PointerScope;

/** FFmpeg's resampler from any interleaving, format, channels and rate to mono float32: the mean of all channels. */
final class MonoResampler implements AutoCloseable {

    /** FFmpeg's filter gives nothing for sounds that are shorter than itself, unless silence follows. */
    private static final int SHORTEST = 256;

    private final SwrContext context;
    private final int fromRate;
    private final int toRate;
    private final PointerPointer<FloatPointer> output = keep(new PointerPointer<>(1));
    private FloatPointer buffer = keep(new FloatPointer(1));

    /** Input samples so far. */
    private long taken;
    /** Output samples so far. */
    private long given;

    /**
     * @param name what to call the sound in the error
     * @throws AudioException if FFmpeg cannot do this conversion
     */
    MonoResampler(String name, int channels, int sampleFormat, int fromRate, int toRate) {
        this.fromRate = fromRate;
        this.toRate = toRate;
        context = new SwrContext();
        try (var _ = new PointerScope()) {
            AVChannelLayout from = new AVChannelLayout();
            AVChannelLayout mono = new AVChannelLayout();
            av_channel_layout_default(from, channels);
            av_channel_layout_default(mono, 1);
            int error = swr_alloc_set_opts2(context, mono, AV_SAMPLE_FMT_FLT, toRate, from, sampleFormat, fromRate, 0,
                    null);
            if (error >= 0 && channels > 1) {
                double[] mean = new double[channels];
                Arrays.fill(mean, 1.0 / channels);
                error = swr_set_matrix(context, mean, channels);
            }
            if (error < 0 || swr_init(context) < 0) {
                close();
                throw new AudioException(name + ": cannot be resampled from " + channels + " channels at " + fromRate
                        + " Hz to " + toRate + " Hz.");
            }
        }
    }

    /**
     * @param planes  the input's planes (one if interleaved), or null at the end of the input to get what is left
     * @param samples number of samples in each channel
     * @return converted samples; fewer or more than the rates suggest, since some are held back
     */
    float[] convert(PointerPointer<?> planes, int samples) {
        taken += samples;
        boolean tooShort = planes == null && taken > 0 && taken < SHORTEST;
        if (tooShort) {
            swr_inject_silence(context, SHORTEST);
        }
        int room = Math.max(swr_get_out_samples(context, samples), 1);
        if (buffer.capacity() < room) {
            buffer.releaseReference();
            buffer = keep(new FloatPointer(room));
        }
        output.put(0, buffer);
        int produced = swr_convert(context, output, room, planes, samples);
        long wanted = tooShort ? Math.ceilDiv(taken * toRate, fromRate) - given : produced;
        float[] result = new float[(int) Math.clamp(wanted, 0L, Math.max(produced, 0))];
        buffer.get(result);
        given += result.length;
        return result;
    }

    @Override
    public void close() {
        swr_free(context);
        output.releaseReference();
        buffer.releaseReference();
    }

    /** Memory of the resampler outlives the scope of the block in which it was made. */
    private static <P extends Pointer> P keep(P pointer) {
        pointer.retainReference();
        return pointer;
    }
}

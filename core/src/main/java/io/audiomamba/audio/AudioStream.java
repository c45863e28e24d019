package io.audiomamba.audio;

import static org.bytedeco.ffmpeg.global.avcodec.AV_CODEC_ID_FLAC;
import static org.bytedeco.ffmpeg.global.avcodec.AV_CODEC_ID_MP3;
import static org.bytedeco.ffmpeg.global.avcodec.av_get_exact_bits_per_sample;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_alloc;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_free;
import static org.bytedeco.ffmpeg.global.avcodec.av_packet_unref;
import static org.bytedeco.ffmpeg.global.avcodec.av_shrink_packet;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_alloc_context3;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_find_decoder;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_free_context;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_open2;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_parameters_to_context;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_receive_frame;
import static org.bytedeco.ffmpeg.global.avcodec.avcodec_send_packet;
import static org.bytedeco.ffmpeg.global.avformat.av_find_best_stream;
import static org.bytedeco.ffmpeg.global.avformat.av_read_frame;
import static org.bytedeco.ffmpeg.global.avformat.avformat_alloc_context;
import static org.bytedeco.ffmpeg.global.avformat.avformat_close_input;
import static org.bytedeco.ffmpeg.global.avformat.avformat_find_stream_info;
import static org.bytedeco.ffmpeg.global.avformat.avformat_open_input;
import static org.bytedeco.ffmpeg.global.avutil.AVERROR_EAGAIN;
import static org.bytedeco.ffmpeg.global.avutil.AVERROR_EOF;
import static org.bytedeco.ffmpeg.global.avutil.AVMEDIA_TYPE_AUDIO;
import static org.bytedeco.ffmpeg.global.avutil.AV_LOG_QUIET;
import static org.bytedeco.ffmpeg.global.avutil.AV_NOPTS_VALUE;
import static org.bytedeco.ffmpeg.global.avutil.av_dict_free;
import static org.bytedeco.ffmpeg.global.avutil.av_dict_set;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_alloc;
import static org.bytedeco.ffmpeg.global.avutil.av_frame_free;
import static org.bytedeco.ffmpeg.global.avutil.av_log_set_level;
import static org.bytedeco.ffmpeg.global.avutil.av_q2d;

import io.audiomamba.error.AudioException;
import io.audiomamba.torch.Natives;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Locale;
import org.bytedeco.ffmpeg.avcodec.AVCodec;
import org.bytedeco.ffmpeg.avcodec.AVCodecContext;
import org.bytedeco.ffmpeg.avcodec.AVPacket;
import org.bytedeco.ffmpeg.avformat.AVFormatContext;
import org.bytedeco.ffmpeg.avformat.AVStream;
import org.bytedeco.ffmpeg.avutil.AVDictionary;
import org.bytedeco.ffmpeg.avutil.AVFrame;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.PointerScope;

/**
 * A sound being decoded, block by block: mono, at the asked rate. Not for use by several threads at once.
 */
public final class AudioStream implements AutoCloseable {

    /** FFmpeg's names of the containers that are opened; no playlist and nothing that refers to other files. */
    private static final String FORMATS = "wav,w64,aiff,flac,mp3,aac,ogg,mov,mp4,m4a,matroska,webm";
    /** FFmpeg's names of the decoders that may run; no pictures. */
    private static final String CODECS = "flac,mp3,mp3float,vorbis,opus,aac,alac,pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,"
            + "pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,pcm_mulaw,pcm_alaw,"
            + "adpcm_ms,adpcm_ima_wav";
    /** How much shorter than stated a sound may be before it counts as cut off. */
    private static final double SLACK_SECONDS = 0.1;

    static {
        Natives.loadFfmpeg();
        av_log_set_level(AV_LOG_QUIET);
    }

    /** How samples lie in memory, and how many a second there are. */
    private record Form(int channels, int rate, int sampleFormat) {}

    private final String name;
    private final int sampleRate;
    private final AudioLimits limits;
    private final Arena arena;
    private final ByteInput input;
    private AVFormatContext format;
    private AVCodecContext codec;
    private AVPacket packet;
    private AVFrame frame;
    private MonoResampler resampler;
    private int audioIndex;
    /** Of samples that are stored as they are, those of one moment; 0 for others. Where a file is cut there may be a part. */
    private int frameBytes;
    private double statedSeconds = Double.NaN;

    /** What the frames are like, as the first one was; null before it. */
    private Form form;

    /** What the resampler gave and the caller has not taken yet. */
    private float[] pending = new float[0];
    private int taken;
    /** How many samples the resampler gave so far. */
    private long decoded;
    private boolean drained;
    private boolean ended;
    private boolean closed;

    /**
     * @param arena owns {@code bytes} and is closed with this stream
     * @throws AudioException if there is no sound in it that can be decoded; the arena is closed then
     */
    AudioStream(String name, MemorySegment bytes, Arena arena, int sampleRate, AudioLimits limits) {
        this.name = name;
        this.sampleRate = sampleRate;
        this.limits = limits;
        this.arena = arena;
        this.input = new ByteInput(bytes);
        boolean opened = false;
        try (var _ = new PointerScope()) {
            open();
            opened = true;
        } finally {
            if (!opened) {
                close();
            }
        }
    }

    private void open() {
        format = avformat_alloc_context();
        format.pb(input.context);
        format.retainReference();
        AVDictionary options = new AVDictionary(null);
        av_dict_set(options, "format_whitelist", FORMATS, 0);
        av_dict_set(options, "codec_whitelist", CODECS, 0);
        av_dict_set(options, "protocol_whitelist", "none", 0);
        int error = avformat_open_input(format, (String) null, null, options);
        av_dict_free(options);
        if (error < 0) {
            format.releaseReference();
            format = null;
            throw new AudioException(name + ": is not a sound file of a known format (WAV, AIFF, FLAC, MP3, Ogg, Opus,"
                    + " AAC, M4A, MP4, WebM, Matroska), or its header is damaged.");
        }
        if (avformat_find_stream_info(format, (PointerPointer<?>) null) < 0) {
            throw new AudioException(name + ": is damaged: its header cannot be read.");
        }
        audioIndex = av_find_best_stream(format, AVMEDIA_TYPE_AUDIO, -1, -1, (AVCodec) null, 0);
        if (audioIndex < 0) {
            throw new AudioException(name + ": holds no sound.");
        }
        AVStream stream = format.streams(audioIndex);
        AVCodec decoder = avcodec_find_decoder(stream.codecpar().codec_id());
        codec = decoder == null ? null : avcodec_alloc_context3(decoder);
        if (codec == null) {
            throw new AudioException(name + ": its sound is in a codec that is not supported.");
        }
        codec.retainReference();
        AVDictionary codecOptions = new AVDictionary(null);
        av_dict_set(codecOptions, "codec_whitelist", CODECS, 0);
        boolean ready = avcodec_parameters_to_context(codec, stream.codecpar()) >= 0
                && avcodec_open2(codec, decoder, codecOptions) >= 0;
        av_dict_free(codecOptions);
        if (!ready) {
            throw new AudioException(name + ": its sound is in a codec that is not supported ("
                    + decoder.name().getString() + ").");
        }
        limits.requireForm(name, codec.ch_layout().nb_channels(), codec.sample_rate());
        noteStatedLength(stream);
        frameBytes = av_get_exact_bits_per_sample(codec.codec_id()) / 8 * codec.ch_layout().nb_channels();
        packet = av_packet_alloc();
        packet.retainReference();
        frame = av_frame_alloc();
        frame.retainReference();
    }

    /** Only formats that count their samples state a length that can be relied on. */
    private void noteStatedLength(AVStream stream) {
        String container = format.iformat().name().getString();
        boolean counted = container.equals("wav") || container.startsWith("mov")
                || codec.codec_id() == AV_CODEC_ID_FLAC;
        if (counted && stream.duration() != AV_NOPTS_VALUE && stream.duration() > 0) {
            statedSeconds = stream.duration() * av_q2d(stream.time_base());
        }
    }

    /** Samples a second of the sound as it is stored. */
    public int storedRate() {
        return codec.sample_rate();
    }

    /**
     * Decodes on.
     *
     * @param into is filled from its beginning
     * @return how many samples were written: fewer than there is room for only at the end of the sound; 0 after it
     * @throws AudioException if the sound is damaged, cut off, longer than the limit, or not made of numbers
     */
    public int read(float[] into) {
        int filled = 0;
        while (filled < into.length) {
            if (taken == pending.length && !decodeMore()) {
                break;
            }
            int count = Math.min(into.length - filled, pending.length - taken);
            System.arraycopy(pending, taken, into, filled, count);
            taken += count;
            filled += count;
        }
        return filled;
    }

    /** Fills {@link #pending}; false at the end. */
    private boolean decodeMore() {
        try (var _ = new PointerScope()) {
            while (!ended) {
                int error = avcodec_receive_frame(codec, frame);
                if (error >= 0) {
                    if (accept(resample())) {
                        return true;
                    }
                } else if (error == AVERROR_EAGAIN()) {
                    sendPacket();
                } else if (error == AVERROR_EOF) {
                    ended = true;
                    boolean more = resampler != null && accept(resampler.convert(null, 0));
                    checkComplete();
                    return more;
                } else {
                    throw damaged();
                }
            }
            return false;
        }
    }

    private float[] resample() {
        // Not the decoder's own values: it changes them before it gives the frame.
        Form found = new Form(frame.ch_layout().nb_channels(), frame.sample_rate(), frame.format());
        if (resampler == null) {
            limits.requireForm(name, found.channels(), found.rate());
            form = found;
            resampler = new MonoResampler(name, form.channels(), form.sampleFormat(), form.rate(), sampleRate);
        } else if (!found.equals(form)) {
            throw new AudioException(name + ": changes its channels, sample rate or sample format after "
                    + inSeconds(decodedSeconds()) + ", which is not supported.");
        }
        return resampler.convert(frame.extended_data(), frame.nb_samples());
    }

    private boolean accept(float[] samples) {
        for (int i = 0; i < samples.length; i++) {
            if (!Float.isFinite(samples[i])) {
                throw new AudioException(name + ": holds a sample that is not a finite number, at about "
                        + inSeconds((double) (decoded + i) / sampleRate) + ".");
            }
        }
        decoded += samples.length;
        limits.requireLength(name, decodedSeconds());
        pending = samples;
        taken = 0;
        return samples.length > 0;
    }

    /** Feeds the decoder with the next packet of the sound, or tells it that there are no more. */
    private void sendPacket() {
        while (!drained) {
            int error = av_read_frame(format, packet);
            if (error == AVERROR_EOF) {
                drained = true;
                avcodec_send_packet(codec, null);
                return;
            }
            if (error < 0) {
                throw damaged();
            }
            boolean wanted = packet.stream_index() == audioIndex;
            if (wanted && frameBytes > 0) {
                av_shrink_packet(packet, packet.size() / frameBytes * frameBytes);
            }
            int sent = wanted && packet.size() > 0 ? avcodec_send_packet(codec, packet) : 0;
            av_packet_unref(packet);
            // An MP3 that was cut out of a longer one begins and ends with frames that lack their neighbours.
            if (sent < 0 && codec.codec_id() != AV_CODEC_ID_MP3) {
                throw damaged();
            }
            if (wanted && sent >= 0) {
                return;
            }
        }
        throw damaged();
    }

    private void checkComplete() {
        if (decoded == 0) {
            throw new AudioException(name + ": holds no sound.");
        }
        if (statedSeconds - decodedSeconds() > SLACK_SECONDS) {
            throw new AudioException(
                    name + ": is cut off: it states " + inSeconds(statedSeconds) + " of sound but ends after "
                            + inSeconds(decodedSeconds()) + ".");
        }
    }

    private AudioException damaged() {
        return new AudioException(name + ": is damaged after " + inSeconds(decodedSeconds()) + ".");
    }

    private double decodedSeconds() {
        return (double) decoded / sampleRate;
    }

    private static String inSeconds(double seconds) {
        return String.format(Locale.ROOT, "%.2f s", seconds);
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (resampler != null) {
            resampler.close();
        }
        if (frame != null) {
            av_frame_free(frame);
        }
        if (packet != null) {
            av_packet_free(packet);
        }
        if (codec != null) {
            avcodec_free_context(codec);
        }
        if (format != null) {
            avformat_close_input(format);
        }
        input.close();
        arena.close();
    }
}

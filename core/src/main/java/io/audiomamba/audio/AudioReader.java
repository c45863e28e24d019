package io.audiomamba.audio;

import static org.bytedeco.ffmpeg.global.avutil.AV_SAMPLE_FMT_FLT;

import io.audiomamba.error.AudioException;
import io.audiomamba.torch.Natives;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.PointerPointer;
import org.bytedeco.javacpp.PointerScope;

/**
 * Decodes sound with FFmpeg: WAV, AIFF, FLAC, MP3, Ogg Vorbis, Opus, AAC, and the sound of MP4, M4A, WebM and Matroska,
 * of any channels and sample rate, to mono at the asked rate. Every method throws {@link AudioException} with one
 * sentence that begins with the input's name if that cannot be done.
 */
public final class AudioReader {

    /** How many samples an array holds at most. */
    private static final int LARGEST = Integer.MAX_VALUE - 16;
    private static final int BLOCK = 1 << 16;
    private static final Pattern URL = Pattern.compile("([a-z]{2,}):/(.*)");

    private AudioReader() {}

    /** The whole sound of a file. */
    public static Waveform read(Path file, int sampleRate) {
        try (AudioStream stream = open(file, sampleRate, AudioLimits.DEFAULT)) {
            return drain(stream, file.toString(), sampleRate);
        }
    }

    /**
     * The whole sound in {@code bytes}, the content of a file.
     *
     * @param name what to call it in errors
     */
    public static Waveform read(byte[] bytes, String name, int sampleRate) {
        if (bytes.length == 0) {
            throw new AudioException(name + ": is empty.");
        }
        try (AudioStream stream = new AudioStream(name, MemorySegment.ofArray(bytes), Arena.ofShared(), sampleRate,
                AudioLimits.DEFAULT)) {
            return drain(stream, name, sampleRate);
        }
    }

    /**
     * The whole sound in what is left of {@code in}, the content of a file of at most 1 GB. Does not close it.
     *
     * @param name what to call it in errors
     */
    public static Waveform read(InputStream in, String name, int sampleRate) {
        int limit = 1 << 30;
        try {
            byte[] bytes = in.readNBytes(limit + 1);
            if (bytes.length > limit) {
                throw new AudioException(name + ": has more than " + limit + " bytes; save it to a file first.");
            }
            return read(bytes, name, sampleRate);
        } catch (IOException e) {
            throw new AudioException(name + ": cannot be read (" + e.getMessage() + ").", e);
        }
    }

    /** Begins to decode a file, which is mapped, not read into memory. */
    public static AudioStream open(Path file, int sampleRate, AudioLimits limits) {
        if (Files.isDirectory(file)) {
            throw new AudioException(file + ": is a directory, not a sound file.");
        }
        if (!Files.exists(file)) {
            // Path makes one slash of two.
            Matcher url = URL.matcher(file.toString());
            throw new AudioException(url.matches()
                    ? url.replaceFirst("$1://$2") + ": is a URL; nothing is fetched from a network: download it first."
                    : file + ": there is no such file.");
        }
        if (!Files.isRegularFile(file)) {
            throw new AudioException(file + ": is a pipe or a device, not a file; save the sound to a file first.");
        }
        Arena arena = Arena.ofShared();
        MemorySegment bytes;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long size = channel.size();
            if (size == 0) {
                throw new AudioException(file + ": is empty.");
            }
            if (size > limits.maxBytes()) {
                throw new AudioException(
                        file + ": has " + size + " bytes; at most " + limits.maxBytes() + " are allowed.");
            }
            bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
        } catch (AccessDeniedException e) {
            arena.close();
            throw new AudioException(file + ": may not be read by this user.", e);
        } catch (IOException e) {
            arena.close();
            throw new AudioException(file + ": cannot be read (" + e.getMessage() + ").", e);
        } catch (AudioException e) {
            arena.close();
            throw e;
        }
        return new AudioStream(file.toString(), bytes, arena, sampleRate, limits);
    }

    private static Waveform drain(AudioStream stream, String name, int sampleRate) {
        float[] samples = new float[BLOCK];
        int length = 0;
        float[] block = new float[BLOCK];
        while (true) {
            int count = stream.read(block);
            if (count == 0) {
                return new Waveform(Arrays.copyOf(samples, length), sampleRate);
            }
            if (length > LARGEST - count) {
                throw tooLong(name);
            }
            if (length + count > samples.length) {
                samples = Arrays.copyOf(samples, (int) Math.min(LARGEST, 2L * samples.length));
            }
            System.arraycopy(block, 0, samples, length, count);
            length += count;
        }
    }

    private static AudioException tooLong(String name) {
        return new AudioException(name + ": is too long to be held in memory at once.");
    }

    /**
     * The same sound at another rate.
     *
     * @throws AudioException if there is no way between the rates, or the result is too long for an array
     */
    public static Waveform resample(Waveform waveform, int sampleRate) {
        if (waveform.sampleRate() == sampleRate) {
            return waveform;
        }
        String name = "The waveform";
        long length = Math.ceilDiv((long) waveform.samples().length * sampleRate, waveform.sampleRate());
        if (length > LARGEST) {
            throw tooLong(name);
        }
        Natives.loadFfmpeg();
        try (var _ = new PointerScope();
                MonoResampler resampler = new MonoResampler(name, 1, AV_SAMPLE_FMT_FLT, waveform.sampleRate(),
                        sampleRate)) {
            PointerPointer<FloatPointer> plane = new PointerPointer<>(1);
            plane.put(0, new FloatPointer(waveform.samples()));
            float[] body = resampler.convert(plane, waveform.samples().length);
            float[] tail = resampler.convert(null, 0);
            float[] all = Arrays.copyOf(body, body.length + tail.length);
            System.arraycopy(tail, 0, all, body.length, tail.length);
            return new Waveform(all, sampleRate);
        }
    }
}

package io.audiomamba.frontend;

import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The Kaldi filter bank that DASS and AST are trained on (the definition is torchaudio's compliance.kaldi.fbank): the
 * waveform minus its mean at 16 kHz; frames of 25 ms every 10 ms, each minus its mean, pre-emphasised by 0.97, under a
 * symmetric Hann window, padded to 512; power; 128 HTK mel bins from 20 Hz to 8 kHz; natural logarithm; 1,024 frames by
 * padding with 0 or cutting; then (x + 4.2677393) / (2 * 4.5689974).
 *
 * <p>It is computed in double precision, unless one asks otherwise: near-silent bins are differences of large numbers.
 */
public final class KaldiFbank implements FrontEnd {

    /** See {@link FrontEnd#name()}. */
    public static final String NAME = "kaldi-fbank";
    /** The name of the one whose {@link #fit} repeats a short sound, as models hear it that are trained here. */
    public static final String REPEATING = "kaldi-fbank-repeating";
    /** Mel bins. */
    public static final int BINS = 128;
    /** Frames of an image. */
    public static final int FRAMES = 1024;

    private static final int RATE = 16_000;
    private static final int FRAME = 400;
    private static final int HOP = 160;
    private static final int FFT = 512;
    private static final double PREEMPHASIS = 0.97;
    private static final double LOWEST_HERTZ = 20;
    private static final double HIGHEST_HERTZ = 8_000;
    /** The spacing of float32 at 1, which Kaldi uses as the floor of the energy. */
    private static final double FLOOR = 0x1p-23;
    private static final double MEAN = -4.2677393;
    private static final double DEVIATION = 4.5689974;

    private final Tensor hann;
    private final Tensor filters;
    private final boolean repeats;

    /** For waveforms on {@code device}. */
    public KaldiFbank(Device device) {
        this(device, ScalarType.Double, false);
    }

    /** As {@link FrontEnd#named(String, Device, ScalarType)}. */
    KaldiFbank(Device device, ScalarType precision, boolean repeats) {
        this.repeats = repeats;
        hann = Tensors.permanent(Tensors.of(window(), FRAME).to(device, precision));
        filters = Tensors.permanent(Tensors.of(filters(), BINS, FFT / 2 + 1).to(device, precision).t().contiguous());
    }

    @Override
    public String name() {
        return repeats ? REPEATING : NAME;
    }

    @Override
    public int sampleRate() {
        return RATE;
    }

    @Override
    public int windowSamples() {
        return FRAME + (FRAMES - 1) * HOP;
    }

    /**
     * Repeats the sound until it fills a window or, as DASS and AST do, leaves it as it is: then the image is padded, not the
     * waveform, unless there is not even one frame.
     */
    @Override
    public float[] fit(float[] samples) {
        if (repeats) {
            float[] window = Arrays.copyOf(samples, windowSamples());
            FrontEnd.repeat(window, samples.length);
            return window;
        }
        return samples.length < FRAME ? Arrays.copyOf(samples, FRAME) : samples;
    }

    @Override
    public double perDecibel() {
        return Math.log(10) / 10 / (2 * DEVIATION);
    }

    /** (B, samples), at least 400, to (B, 1024, 128). */
    @Override
    public Tensor apply(Tensor waveforms) {
        return Tensors.scoped(() -> {
            Tensor fbank = fbank(waveforms);
            long missing = FRAMES - fbank.size(1);
            Tensor image = missing > 0
                    ? torch.constant_pad_nd(fbank, new long[] {0, 0, 0, missing}, new Scalar(0))
                    : fbank.narrow(1, 0, FRAMES);
            return image.sub(new Scalar(MEAN)).div(new Scalar(2 * DEVIATION));
        });
    }

    /** The filter bank before padding and normalisation, (B, 1 + (samples - 400) / 160, 128). */
    public Tensor fbank(Tensor waveforms) {
        Tensor x = waveforms.to(hann.scalar_type());
        Tensor frames = centred(centred(x).unfold(1, FRAME, HOP));
        // The first sample of a frame has no predecessor and takes itself for one.
        Tensor before = torch.cat(new TensorVector(frames.narrow(2, 0, 1), frames.narrow(2, 0, FRAME - 1)), 2);
        Tensor windowed = frames.sub(before.mul(new Scalar(PREEMPHASIS))).mul(hann);
        Tensor padded = torch.constant_pad_nd(windowed, new long[] {0, FFT - FRAME}, new Scalar(0));
        Tensor power = torch.fft_rfft(padded).abs().square_();
        return power.matmul(filters).clamp(new ScalarOptional(new Scalar(FLOOR))).log().to(ScalarType.Float);
    }

    private static Tensor centred(Tensor x) {
        return x.sub(x.mean(new long[] {-1}, true, new ScalarTypeOptional()));
    }

    /** The symmetric Hann window, 400 values. */
    public static double[] window() {
        double[] window = new double[FRAME];
        for (int i = 0; i < FRAME; i++) {
            window[i] = 0.5 - 0.5 * Math.cos(2 * Math.PI * i / (FRAME - 1));
        }
        return window;
    }

    /** The triangular filters, (128, 257); they rise and fall linearly in mel, and the last column is 0. */
    public static double[] filters() {
        double lowest = htkMel(LOWEST_HERTZ);
        double step = (htkMel(HIGHEST_HERTZ) - lowest) / (BINS + 1);
        int columns = FFT / 2 + 1;
        double[] filters = new double[BINS * columns];
        for (int bin = 0; bin < BINS; bin++) {
            double left = lowest + bin * step;
            for (int f = 0; f < FFT / 2; f++) {
                double position = (htkMel((double) f * RATE / FFT) - left) / step;
                filters[bin * columns + f] = Math.max(0, Math.min(position, 2 - position));
            }
        }
        return filters;
    }

    private static double htkMel(double hertz) {
        return 1127 * Math.log(1 + hertz / 700);
    }
}

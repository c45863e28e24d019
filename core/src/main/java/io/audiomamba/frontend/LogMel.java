package io.audiomamba.frontend;

import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * HTS-AT's log-mel spectrogram (Chen et al. 2022; the definition is torchlibrosa's): 32 kHz, a centred short-time
 * Fourier transform of 1024 points every 320 samples with a periodic Hann window and reflected edges, power, 64 Slaney
 * mel bins from 50 Hz to 14 kHz, and 10 log10(max(x, 1e-10)).
 *
 * <p>It is computed in double precision, unless one asks otherwise: in single precision near-silent bins drown in the
 * rounding of loud ones.
 */
public final class LogMel implements FrontEnd {

    /** See {@link FrontEnd#name()}. */
    public static final String NAME = "htsat-logmel";
    /** Mel bins. */
    public static final int BINS = 64;

    private static final int RATE = 32_000;
    private static final int WINDOW = 320_000;
    private static final int FFT = 1024;
    private static final int HOP = 320;
    private static final double LOWEST_HERTZ = 50;
    private static final double HIGHEST_HERTZ = 14_000;
    private static final double FLOOR = 1e-10;

    private final Tensor hann;
    private final Tensor filters;

    /** For waveforms on {@code device}. */
    public LogMel(Device device) {
        this(device, ScalarType.Double);
    }

    /** As {@link FrontEnd#named(String, Device, ScalarType)}. */
    LogMel(Device device, ScalarType precision) {
        hann = Tensors.permanent(Tensors.of(window(), FFT).to(device, precision));
        filters = Tensors.permanent(Tensors.of(filters(), FFT / 2 + 1, BINS).to(device, precision));
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public int sampleRate() {
        return RATE;
    }

    @Override
    public int windowSamples() {
        return WINDOW;
    }

    /** Repeats the sound until it fills a window, as HTS-AT does. */
    @Override
    public float[] fit(float[] samples) {
        float[] window = Arrays.copyOf(samples, WINDOW);
        FrontEnd.repeat(window, samples.length);
        return window;
    }

    @Override
    public double perDecibel() {
        return 1;
    }

    /** The frames are 1 + samples / 320; at least 513 samples are needed. In decibels. */
    @Override
    public Tensor apply(Tensor waveforms) {
        return Tensors.scoped(() -> {
            Tensor mel = power(waveforms).matmul(filters);
            return mel.clamp(new ScalarOptional(new Scalar(FLOOR))).log10().mul(new Scalar(10.0))
                    .to(ScalarType.Float);
        });
    }

    /** The power spectrum, (B, frames, 513). */
    public Tensor power(Tensor waveforms) {
        Tensor frames = torch.reflection_pad1d(waveforms, FFT / 2, FFT / 2).unfold(1, FFT, HOP).mul(hann);
        return torch.fft_rfft(frames).abs().square_();
    }

    /** The periodic Hann window, 1024 values. */
    public static double[] window() {
        double[] window = new double[FFT];
        for (int i = 0; i < FFT; i++) {
            window[i] = 0.5 - 0.5 * Math.cos(2 * Math.PI * i / FFT);
        }
        return window;
    }

    /** The triangular filters with Slaney's normalisation to equal area, (513, 64), as librosa defines them. */
    public static double[] filters() {
        double lowest = slaneyMel(LOWEST_HERTZ);
        double step = (slaneyMel(HIGHEST_HERTZ) - lowest) / (BINS + 1);
        double[] filters = new double[(FFT / 2 + 1) * BINS];
        for (int bin = 0; bin < BINS; bin++) {
            double left = slaneyHertz(lowest + bin * step);
            double centre = slaneyHertz(lowest + (bin + 1) * step);
            double right = slaneyHertz(lowest + (bin + 2) * step);
            for (int f = 0; f <= FFT / 2; f++) {
                double hertz = (double) f * RATE / FFT;
                double height = Math.min((hertz - left) / (centre - left), (right - hertz) / (right - centre));
                filters[f * BINS + bin] = Math.max(0, height) * 2 / (right - left);
            }
        }
        return filters;
    }

    // Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above.
    private static final double LINEAR_HERTZ = 200.0 / 3;
    private static final double BREAK_HERTZ = 1000;
    private static final double BREAK_MEL = BREAK_HERTZ / LINEAR_HERTZ;
    private static final double LOG_STEP = Math.log(6.4) / 27;

    private static double slaneyMel(double hertz) {
        return hertz < BREAK_HERTZ ? hertz / LINEAR_HERTZ : BREAK_MEL + Math.log(hertz / BREAK_HERTZ) / LOG_STEP;
    }

    private static double slaneyHertz(double mel) {
        return mel < BREAK_MEL ? mel * LINEAR_HERTZ : BREAK_HERTZ * Math.exp(LOG_STEP * (mel - BREAK_MEL));
    }
}

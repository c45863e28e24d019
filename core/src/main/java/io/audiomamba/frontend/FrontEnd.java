package io.audiomamba.frontend;

import io.audiomamba.error.ConfigurationException;
import java.util.List;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Turns sound into the image that a model was trained on. Holds constants only: threads may share one. */
public sealed interface FrontEnd permits LogMel, KaldiFbank {

    /** What a checkpoint calls the front end that a model of images does not have. */
    String NONE = "none";

    /** What a checkpoint calls this front end. */
    String name();

    /** Samples a second that {@link #apply} expects. */
    int sampleRate();

    /** The longest sound, in samples, that becomes one image. */
    int windowSamples();

    /**
     * Brings a sound that is shorter than a window to a length that {@link #apply} takes, as in training.
     *
     * @param samples one or more
     */
    float[] fit(float[] samples);

    /** By how much the image grows where a sound is 1 dB louder. */
    double perDecibel();

    /**
     * @param waveforms (B, samples) of this front end's sample rate, float32, nominally in [-1, 1]
     * @return (B, frames, bins), float32, on the same device
     */
    Tensor apply(Tensor waveforms);

    /**
     * Fills {@code window} with repetitions of its beginning.
     *
     * @param length samples there, one or more
     */
    static void repeat(float[] window, int length) {
        if (length < 1) {
            throw new IllegalArgumentException("nothing to repeat");
        }
        for (int filled = length; filled < window.length; filled *= 2) {
            System.arraycopy(window, 0, window, filled, Math.min(filled, window.length - filled));
        }
    }

    /**
     * The front end that {@link #name()} names, for tensors of {@code device}, in double precision.
     *
     * @throws ConfigurationException if there is none, as for a model of images
     */
    static FrontEnd named(String name, Device device) {
        return named(name, device, ScalarType.Double);
    }

    /**
     * The same in {@code precision}, double or float32. In float32 bins that are far below the loudest of their frame hold
     * its rounding errors: noise 80 dB below a tone comes out wrong by up to 0.02 dB. For a model that is trained in mixed
     * precision that is good enough, and on a GPU takes little more than half the time.
     */
    static FrontEnd named(String name, Device device, ScalarType precision) {
        return switch (name) {
            case LogMel.NAME -> new LogMel(device, precision);
            case KaldiFbank.NAME -> new KaldiFbank(device, precision, false);
            case KaldiFbank.REPEATING -> new KaldiFbank(device, precision, true);
            case NONE -> throw new ConfigurationException("A model of images cannot hear: it is a start for a training"
                    + " (audiomamba train --init).");
            default -> throw new ConfigurationException("There is no front end '" + name + "'; known are "
                    + String.join(", ", List.of(LogMel.NAME, KaldiFbank.NAME, KaldiFbank.REPEATING)) + ".");
        };
    }
}

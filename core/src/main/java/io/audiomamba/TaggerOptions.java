package io.audiomamba;

import io.audiomamba.audio.AudioLimits;
import java.util.Objects;

/**
 * How a tagger computes, and what it refuses.
 *
 * @param device {@code cpu}, {@code cuda} or {@code cuda:n}; {@code auto} for a GPU if there is one, else the CPU
 * @param limits what a sound may cost at most; lower ones serve whoever tags strangers' sounds
 */
public record TaggerOptions(String device, AudioLimits limits) {

    /** The best device that there is, and the {@linkplain AudioLimits#DEFAULT usual limits}. */
    public static final TaggerOptions DEFAULT = new TaggerOptions("auto");

    /**
     * @throws NullPointerException naming the component that is null
     */
    public TaggerOptions {
        Objects.requireNonNull(device, "device");
        Objects.requireNonNull(limits, "limits");
    }

    /** Options with the {@linkplain AudioLimits#DEFAULT usual limits}. */
    public TaggerOptions(String device) {
        this(device, AudioLimits.DEFAULT);
    }
}

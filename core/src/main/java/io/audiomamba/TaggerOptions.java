package io.audiomamba;

/**
 * How a tagger computes.
 *
 * @param device {@code cpu}, {@code cuda} or {@code cuda:n}; {@code auto} for a GPU if there is one, else the CPU
 */
public record TaggerOptions(String device) {

    /** The best device that there is. */
    public static final TaggerOptions DEFAULT = new TaggerOptions("auto");
}

package io.audiomamba.cli;

import java.util.Locale;

/** How long something that began with this object will take, were the rest as fast as what is done. */
final class TimeLeft {

    private final long start = System.nanoTime();

    /**
     * For example {@code 17 min left}; empty when nothing is left.
     *
     * @param first how much had been done before it began
     */
    String of(long first, long done, long all) {
        if (done <= first || done >= all) {
            return "";
        }
        double seconds = (System.nanoTime() - start) / 1e9 * (all - done) / (done - first);
        return seconds < 60
                ? String.format(Locale.ROOT, "%.0f s left", seconds)
                : seconds < 3600
                        ? String.format(Locale.ROOT, "%.0f min left", seconds / 60)
                        : String.format(Locale.ROOT, "%.1f h left", seconds / 3600);
    }
}

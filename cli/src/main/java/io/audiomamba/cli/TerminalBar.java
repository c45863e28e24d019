package io.audiomamba.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;

/**
 * A line of a terminal that shows how far something is: a few words and, where the terminal is wide enough, a bar. A
 * narrow terminal shows the words that fit, the first before the others.
 */
final class TerminalBar implements AutoCloseable {

    private static final int MILLISECONDS = 500;
    /** Of terminals that do not say how wide they are. */
    private static final int USUAL_WIDTH = 80;
    /** Terminals that are less wide show no bar. */
    private static final int WIDE = 60;
    private static final int LEAST_BAR = 16;
    private static final int MOST_BAR = 40;
    /** Between two words. */
    private static final String GAP = "  ";
    /** What a terminal shows for Ctrl-C. */
    private static final String INTERRUPT = "^C";
    private static final String CLEAR_LINE = "\r\u001b[K";

    private final Terminal terminal;
    private final ProgressBar bar;
    private volatile List<String> words = List.of();

    /** Begins at {@code done} of {@code all}. */
    TerminalBar(long done, long all) {
        terminal = open();
        bar = new ProgressBarBuilder().setInitialMax(all).startsFrom(done, Duration.ZERO)
                .setUpdateIntervalMillis(MILLISECONDS).setConsumer(new ConsoleProgressBarConsumer(System.err) {
                    @Override
                    public int getMaxRenderedLength() {
                        int width = terminal.getWidth() > 0 ? terminal.getWidth() : USUAL_WIDTH;
                        return width - INTERRUPT.length() - 1; // the last column begins a new line
                    }
                })
                .setRenderer((state, width) -> padded(line(words, state.getCurrent(), state.getMax(), width), width))
                .build();
    }

    /**
     * The terminal, for its width. The progress bar would open one itself, with native signals: for JLine that means to
     * put the operating system's handler of Ctrl-C in the place of Java's, and nothing would be saved.
     */
    private static Terminal open() {
        try {
            return TerminalBuilder.builder().nativeSignals(false).dumb(true).build();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Whether the user sits at a terminal. */
    static boolean isPossible() {
        return System.console() != null && System.console().isTerminal();
    }

    /** @param say the words, the most important first */
    void show(long done, List<String> say) {
        words = say.stream().filter(word -> !word.isEmpty()).toList();
        bar.stepTo(done);
    }

    /** Prints a line above this one. */
    void print(String text) {
        System.err.print(CLEAR_LINE + text + System.lineSeparator());
    }

    /** So that nothing is left of a longer line. */
    private static String padded(String line, int width) {
        return line + " ".repeat(Math.max(0, width - line.length()));
    }

    /** What is shown on {@code width} columns. */
    static String line(List<String> words, long done, long all, int width) {
        int room = width < WIDE ? width : width - LEAST_BAR - GAP.length();
        StringBuilder line = new StringBuilder();
        for (String word : words) {
            String next = (line.isEmpty() ? "" : GAP) + word;
            if (line.length() + next.length() <= room) {
                line.append(next);
            }
        }
        return width < WIDE
                ? line.toString()
                : line + GAP + bar(done, all, Math.min(MOST_BAR, width - line.length() - GAP.length()));
    }

    /** For example {@code [=====>     ]  42 %}. */
    private static String bar(long done, long all, int width) {
        String percent = "%4d %%".formatted(all == 0 ? 0 : 100 * done / all);
        int inside = width - percent.length() - 2;
        int full = all == 0 ? 0 : (int) (inside * done / all);
        String head = full > 0 && full < inside ? "=".repeat(full - 1) + ">" : "=".repeat(full);
        return "[" + head + " ".repeat(inside - full) + "]" + percent;
    }

    @Override
    public void close() {
        bar.close();
        try {
            terminal.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}

package io.audiomamba.cli;

import java.io.PrintWriter;
import java.util.List;
import java.util.function.BiConsumer;

/** Shows how many clips of a dataset are done: a bar on a terminal; elsewhere a line for each tenth. */
final class ClipProgress implements BiConsumer<Integer, Integer>, AutoCloseable {

    private static final int LINES = 10;

    private final PrintWriter err;
    private final String task;
    private final TimeLeft timeLeft = new TimeLeft();
    private TerminalBar bar;
    private int lines;

    /** @param task what is being done to the clips */
    ClipProgress(PrintWriter err, String task) {
        this.err = err;
        this.task = task;
    }

    @Override
    public void accept(Integer done, Integer all) {
        String state = "%s: %d of %d clips".formatted(task, done, all);
        if (TerminalBar.isPossible()) {
            bar = bar == null ? new TerminalBar(0, all) : bar;
            bar.show(done, List.of(state, timeLeft.of(0, done, all)));
        } else if ((long) done * LINES / all > lines) {
            lines = (int) ((long) done * LINES / all);
            err.println(state);
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}

package io.audiomamba.cli;

import java.io.PrintWriter;
import java.util.function.BiConsumer;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;

/** Shows how many clips of a dataset are done: a bar on a terminal; elsewhere a line for each tenth. */
final class ClipProgress implements BiConsumer<Integer, Integer>, AutoCloseable {

    private static final int LINES = 10;

    private final PrintWriter err;
    private final String task;
    private ProgressBar bar;
    private int lines;

    /** @param task what is being done to the clips */
    ClipProgress(PrintWriter err, String task) {
        this.err = err;
        this.task = task;
        if (System.console() != null && System.console().isTerminal()) {
            bar = new ProgressBarBuilder().setTaskName(task).setConsumer(new ConsoleProgressBarConsumer(System.err))
                    .build();
        }
    }

    @Override
    public void accept(Integer done, Integer all) {
        if (bar != null) {
            bar.maxHint(all).stepTo(done);
        } else if ((long) done * LINES / all > lines) {
            lines = (int) ((long) done * LINES / all);
            err.printf("%s: %d of %d clips%n", task, done, all);
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}

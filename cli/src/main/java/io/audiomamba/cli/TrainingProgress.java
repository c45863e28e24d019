package io.audiomamba.cli;

import io.audiomamba.evaluation.Metrics;
import io.audiomamba.train.Trainer;
import io.audiomamba.train.TrainingListener;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;

/** Shows how a training goes: a bar on a terminal; elsewhere a line an epoch, and one a minute in long epochs. */
final class TrainingProgress implements TrainingListener, AutoCloseable {

    private static final Duration PATIENCE = Duration.ofMinutes(1);

    private final PrintWriter err;
    private final int epochs;
    private final boolean terminal = System.console() != null && System.console().isTerminal();
    private final long start = System.nanoTime();
    private ProgressBar bar;
    private long lastLine = start;
    private long firstBatch = -1;
    private long done;
    private long all;
    private long clips;
    private String measures = "";

    /** @param epochs of the whole training */
    TrainingProgress(PrintWriter err, int epochs) {
        this.err = err;
        this.epochs = epochs;
    }

    @Override
    public void step(Step step) {
        done = (step.epoch() - 1L) * step.batches() + step.batch();
        all = (long) epochs * step.batches();
        if (firstBatch < 0) {
            firstBatch = done - 1;
            bar = terminal ? open(all, firstBatch) : null;
        }
        clips += step.clips();
        double seconds = (System.nanoTime() - start) / 1e9;
        String state = String.format(Locale.ROOT, "epoch %d/%d  loss %.4f  %.1f clips/s%s", step.epoch(), epochs,
                step.loss(), clips / seconds, measures);
        if (bar != null) {
            bar.stepTo(done).setExtraMessage("  " + state);
        } else if (System.nanoTime() - lastLine > PATIENCE.toNanos() && step.batch() < step.batches()) {
            line(String.format(Locale.ROOT, "%s  batch %d/%d%s", state, step.batch(), step.batches(),
                    left()));
        }
    }

    private ProgressBar open(long all, long done) {
        return new ProgressBarBuilder().setTaskName("training").setInitialMax(all)
                .startsFrom(done, Duration.ZERO).setUpdateIntervalMillis(500)
                .setConsumer(new ConsoleProgressBarConsumer(System.err)).build();
    }

    @Override
    public void epoch(Trainer.Epoch epoch, Metrics metrics) {
        if (metrics != null) {
            measures = String.format(Locale.ROOT, "  accuracy %.2f %%  mAP %.4f", 100 * metrics.accuracy(),
                    metrics.meanAveragePrecision());
        }
        if (bar == null) {
            line(String.format(Locale.ROOT, "epoch %d/%d  loss %.4f  %.1f clips/s%s%s", epoch.number(), epochs,
                    epoch.loss(), epoch.clips() / epoch.seconds(), metrics == null ? "" : measures,
                    left()));
        }
    }

    /** Time left, were the rest as fast as what this process did. */
    private String left() {
        double seconds = (System.nanoTime() - start) / 1e9;
        return done == all ? "" : "  " + minutes(seconds * (all - done) / (done - firstBatch)) + " left";
    }

    private static String minutes(double seconds) {
        return seconds < 60
                ? String.format(Locale.ROOT, "%.0f s", seconds)
                : seconds < 3600
                        ? String.format(Locale.ROOT, "%.0f min", seconds / 60)
                        : String.format(Locale.ROOT, "%.1f h", seconds / 3600);
    }

    @Override
    public void unreadable(String reason) {
        warning(reason + " It is left out.");
    }

    @Override
    public void warning(String sentence) {
        err.println((bar == null ? "" : "\n") + "audiomamba: " + sentence);
    }

    private void line(String text) {
        err.println(text);
        lastLine = System.nanoTime();
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}

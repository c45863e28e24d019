package io.audiomamba.cli;

import io.audiomamba.evaluation.Metrics;
import io.audiomamba.train.Trainer;
import io.audiomamba.train.TrainingListener;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Shows how a training goes: a bar on a terminal; elsewhere a line an epoch, and one a minute in long epochs. */
final class TrainingProgress implements TrainingListener, AutoCloseable {

    private static final Duration PATIENCE = Duration.ofMinutes(1);

    private final PrintWriter err;
    private final int epochs;
    private final long start = System.nanoTime();
    private final TimeLeft timeLeft = new TimeLeft();
    private TerminalBar bar;
    private long lastLine = start;
    private long first = -1;
    private long done;
    private long all;
    private long clips;
    private List<String> measures = List.of();

    /** @param epochs of the whole training */
    TrainingProgress(PrintWriter err, int epochs) {
        this.err = err;
        this.epochs = epochs;
    }

    @Override
    public void step(Step step) {
        done = (step.epoch() - 1L) * step.batches() + step.batch();
        all = (long) epochs * step.batches();
        if (first < 0) {
            first = done - 1;
            bar = TerminalBar.isPossible() ? new TerminalBar(first, all) : null;
        }
        clips += step.clips();
        String epoch = "epoch %d/%d".formatted(step.epoch(), epochs);
        String loss = String.format(Locale.ROOT, "loss %.4f", step.loss());
        String speed = speed(clips / ((System.nanoTime() - start) / 1e9));
        if (bar != null) {
            bar.show(done, Stream.concat(Stream.of(epoch, loss, timeLeft.of(first, done, all)),
                    Stream.concat(measures.stream(), Stream.of(speed))).toList());
        } else if (System.nanoTime() - lastLine > PATIENCE.toNanos() && step.batch() < step.batches()) {
            line(epoch, loss, speed, "batch %d/%d".formatted(step.batch(), step.batches()));
        }
    }

    private static String speed(Double clipsPerSecond) {
        return clipsPerSecond == null ? "" : String.format(Locale.ROOT, "%.1f clips/s", clipsPerSecond);
    }

    @Override
    public void epoch(Trainer.Epoch epoch, Metrics metrics) {
        if (metrics != null) {
            measures = List.of(String.format(Locale.ROOT, "mAP %.4f", metrics.meanAveragePrecision()),
                    String.format(Locale.ROOT, "accuracy %.2f %%", 100 * metrics.accuracy()));
        }
        if (bar == null) {
            line("epoch %d/%d".formatted(epoch.number(), epochs), String.format(Locale.ROOT, "loss %.4f", epoch.loss()),
                    speed(epoch.clipsPerSecond()), metrics == null ? "" : String.join("  ", measures));
        }
    }

    @Override
    public void unreadable(String reason) {
        warning(reason + " It is left out.");
    }

    @Override
    public void warning(String sentence) {
        if (bar == null) {
            err.println("audiomamba: " + sentence);
        } else {
            bar.print("audiomamba: " + sentence);
        }
    }

    private void line(String... words) {
        err.println(Stream.concat(Stream.of(words), Stream.of(timeLeft.of(first, done, all)))
                .filter(word -> !word.isEmpty()).collect(Collectors.joining("  ")));
        lastLine = System.nanoTime();
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}

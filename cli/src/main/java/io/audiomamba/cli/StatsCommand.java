package io.audiomamba.cli;

import io.audiomamba.data.Dataset;
import io.audiomamba.data.DatasetStatistics;
import io.audiomamba.frontend.LogMel;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code audiomamba stats}. */
@Command(name = "stats", mixinStandardHelpOptions = true, description = {
        "Decodes a dataset and says what is in it: clips of each class and fold, lengths, sample rates,"
                + " levels, duplicates, and the mean and deviation of the front end."})
final class StatsCommand implements Callable<Integer> {

    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "DATA", description = "A dataset, packed or not.")
    private Path data;

    @Option(names = "--front-end", paramLabel = "NAME", defaultValue = LogMel.NAME, description = "htsat-logmel or kaldi-fbank (${DEFAULT-VALUE}).")
    private String frontEnd;

    @Option(names = "--format", paramLabel = "F", defaultValue = "text", description = "${COMPLETION-CANDIDATES} (${DEFAULT-VALUE}).")
    private StatsFormat format;

    @Mixin
    private ThreadsOption threads;

    @Override
    public Integer call() {
        threads.apply();
        PrintWriter err = spec.commandLine().getErr();
        Dataset dataset = DatasetReader.read(data, err);
        DatasetStatistics statistics;
        try (ClipProgress progress = new ClipProgress(err, "decoding")) {
            statistics = DatasetStatistics.of(dataset, frontEnd, progress);
        }
        statistics.failures().values().forEach(reason -> err.println("audiomamba: " + reason));
        format.print(statistics, spec.commandLine().getOut());
        return statistics.failures().isEmpty() ? Main.DONE : Main.INPUT_FAILED;
    }
}

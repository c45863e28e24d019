package io.audiomamba.cli;

import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.data.Dataset;
import io.audiomamba.train.CrossValidation;
import io.audiomamba.train.CrossValidation.Figure;
import io.audiomamba.train.CrossValidationReport;
import io.audiomamba.train.Trainer;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code audiomamba crossval}. */
@Command(name = "crossval", mixinStandardHelpOptions = true, description = {
        "Trains on all folds but one and tests on that one, for every fold and seed.",
        "Runs that are done are not repeated; several processes may share the work by --part."})
final class CrossvalCommand implements Callable<Integer>, CrossValidation.Listener {

    @Spec
    private CommandSpec spec;

    @Mixin
    private RecipeOptions recipe;

    @Option(names = "--data", paramLabel = "DIR", required = true, description = "A dataset with folds, packed or not.")
    private Path data;

    @Option(names = {"-o", "--output"}, paramLabel = "DIR", required = true, description = "Where runs are kept.")
    private Path output;

    @Option(names = "--seeds", paramLabel = "N", defaultValue = "3", description = "How many (${DEFAULT-VALUE}).")
    private int seeds;

    @Option(names = "--part", paramLabel = "I/N", defaultValue = "1/1", description = "Make only every N-th run, beginning with the I-th, and no summary unless N is 1.")
    private String part;

    @Mixin
    private InitialWeightsOption init;

    @Option(names = "--jobs", paramLabel = "N", defaultValue = "1", description = "Runs made at once in this process (${DEFAULT-VALUE}); several keep a GPU busy, a CPU makes one after the other.")
    private int jobs;

    @Mixin
    private DeviceOption device;

    @Mixin
    private ThreadsOption threads;

    @Override
    public Integer call() {
        if (!part.matches("[1-9]\\d{0,5}/[1-9]\\d{0,5}") || seeds < 1 || seeds > CrossValidation.MOST_SEEDS
                || jobs < 1) {
            throw new ParameterException(spec.commandLine(),
                    "--part must be like 2/15, --seeds 1 to " + CrossValidation.MOST_SEEDS + ", and --jobs 1 or more.");
        }
        int index = Integer.parseInt(part.substring(0, part.indexOf('/')));
        int parts = Integer.parseInt(part.substring(part.indexOf('/') + 1));
        if (index > parts) {
            throw new ParameterException(spec.commandLine(),
                    "--part is " + part + ", but there are only " + parts + " parts.");
        }
        threads.apply();
        Dataset dataset = DatasetReader.read(data, output, spec.commandLine().getErr());
        return init.with(recipe, dataset.labels(), (chosen, weights) -> {
            CrossValidation validation = new CrossValidation(chosen, weights, dataset, output);
            validation.run(seeds, index - 1, parts, jobs, device.get(chosen, spec.commandLine().getErr()), this);
            if (parts == 1) {
                report(validation, dataset.title(), chosen.loss().kind().activation());
            }
            return Main.DONE;
        });
    }

    private void report(CrossValidation validation, String title, Activation activation) {
        CrossValidation.Summary summary = validation.summary();
        print(summary);
        boolean drawn = new CrossValidationReport(title, activation, summary, validation.runs()).write(output);
        spec.commandLine().getOut().println(output.resolve(drawn ? "crossval.{json,csv,png}" : "crossval.{json,csv}"));
    }

    @Override
    public void epoch(String run, Trainer.Epoch epoch) {
        spec.commandLine().getErr().printf(Locale.ROOT, "%s  epoch %d  loss %.4f  %.1f clips/s%n", run, epoch.number(),
                epoch.loss(), epoch.clipsPerSecond());
    }

    @Override
    public void skipped(String run, String reason) {
        spec.commandLine().getErr().println("audiomamba: " + run + ": " + reason);
    }

    private void print(CrossValidation.Summary summary) {
        PrintWriter out = spec.commandLine().getOut();
        out.printf("%d runs; ± is the deviation over seeds%n", summary.runs());
        out.printf("%-20s %-18s %d shifts%n", "", "plain", CrossValidation.SHIFTS);
        row(out, "accuracy", summary.accuracy(), summary.shiftedAccuracy());
        summary.foldAccuracies().forEach(
                (fold, plain) -> row(out, "  fold " + fold, plain, summary.shiftedFoldAccuracies().get(fold)));
        out.printf(Locale.ROOT, "%-20s %.2f%n", "  between folds  ±", 100 * summary.foldDeviation());
        out.printf(Locale.ROOT, "%-20s %-18s %.2f %%%n", "  seeds together", "", 100 * summary.ensemble());
        row(out, "mAP", summary.meanAveragePrecision(), summary.shiftedMeanAveragePrecision());
        out.printf(Locale.ROOT,
                "%-20s %.2f %%, and %.2f %% with a temperature fitted on the other folds (on all: %.3f)%n",
                "calibration error", 100 * summary.uncalibratedError(), 100 * summary.error(), summary.temperature());
    }

    private static void row(PrintWriter out, String name, Figure plain, Figure shifted) {
        out.printf("%-20s %-18s %s%n", name, plain.percent(), shifted.percent());
    }
}

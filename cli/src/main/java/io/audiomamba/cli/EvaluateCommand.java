package io.audiomamba.cli;

import io.audiomamba.Models;
import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.data.Dataset;
import io.audiomamba.evaluation.Evaluation;
import io.audiomamba.evaluation.EvaluationReport;
import io.audiomamba.evaluation.Evaluator;
import io.audiomamba.evaluation.LabelMap;
import io.audiomamba.file.WholeFile;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.model.Parameters;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code audiomamba evaluate}. */
@Command(name = "evaluate", mixinStandardHelpOptions = true, description = {
        "Measures how well a model does on a dataset.",
        "mAP, mAUC, d', lwlrap and accuracy with 95 %% intervals by the bootstrap over clips, calibration error, and the"
                + " measures of each class."})
final class EvaluateCommand implements Callable<Integer> {

    private static final int MOST_SHIFTS = 1000;

    @Spec
    private CommandSpec spec;

    @Option(names = "--model", paramLabel = "M", defaultValue = Main.MODEL, description = "A checkpoint, or the name of a bundled or installed model (${DEFAULT-VALUE}).")
    private String model;

    @Option(names = "--data", paramLabel = "DIR", required = true, description = "A dataset, packed or not.")
    private Path data;

    @Option(names = "--fold", paramLabel = "K", description = "Only this fold.")
    private Integer fold;

    @Option(names = "--shifts", paramLabel = "N", defaultValue = "1", description = "Measures the mean over so many cyclic shifts of each clip too; the field takes 10 (${DEFAULT-VALUE}).")
    private int shifts;

    @Option(names = "--label-map", paramLabel = "FILE", description = "CSV with the columns dataset and model: classes that go by other names.")
    private Path labelMap;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "19990318", description = "Equal seeds give equal intervals (${DEFAULT-VALUE}).")
    private long seed;

    @Option(names = {"-o", "--output"}, paramLabel = "DIR", description = "Where to write evaluation.json, classes.csv,"
            + " scores.csv and, where they make sense, confusion.csv and skipped.csv.")
    private Path output;

    @Option(names = "--format", paramLabel = "F", defaultValue = "text", description = "${COMPLETION-CANDIDATES}; csv is a line a class (${DEFAULT-VALUE}).")
    private EvaluationFormat format;

    @Mixin
    private DeviceOption device;

    @Mixin
    private ThreadsOption threads;

    @Override
    public Integer call() {
        if (shifts < 1 || shifts > MOST_SHIFTS) {
            throw new ParameterException(spec.commandLine(),
                    "--shifts is " + shifts + " but must be 1 to " + MOST_SHIFTS + ".");
        }
        threads.apply();
        PrintWriter err = spec.commandLine().getErr();
        Dataset dataset = DatasetReader.read(data, output, err);
        Evaluation evaluation = evaluate(fold == null ? dataset : dataset.fold(fold));
        evaluation.failures().values().forEach(reason -> err.println("audiomamba: " + reason));
        EvaluationReport report = new EvaluationReport(evaluation);
        format.print(evaluation, report, spec.commandLine().getOut());
        if (output != null) {
            report.write(output);
        }
        return evaluation.failures().isEmpty() ? Main.DONE : Main.INPUT_FAILED;
    }

    private Evaluation evaluate(Dataset dataset) {
        try (Checkpoint checkpoint = Models.open(model)) {
            Description description = checkpoint.description();
            LabelMap map = labelMap == null
                    ? LabelMap.byName(description.labels(), dataset.labels())
                    : LabelMap.read(labelMap, description.labels(), dataset.labels());
            Device where = device.get();
            Checkpoint.Loaded loaded = checkpoint.load();
            if (output != null) {
                WholeFile.createFolder(output); // rather than find out at the end that this cannot be done
            }
            try (Parameters parameters = loaded.parameters();
                    ClipProgress progress = new ClipProgress(spec.commandLine().getErr(), "evaluating")) {
                parameters.to(where);
                Evaluator evaluator = new Evaluator(loaded.model(), FrontEnd.named(description.frontEnd(), where),
                        where);
                return Evaluation.of(model, description, dataset, map, evaluator.predict(dataset, shifts, progress),
                        shifts, seed);
            }
        }
    }
}

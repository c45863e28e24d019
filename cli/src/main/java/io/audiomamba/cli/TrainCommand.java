package io.audiomamba.cli;

import io.audiomamba.checkpoint.DType;
import io.audiomamba.data.Dataset;
import io.audiomamba.train.CrossValidation;
import io.audiomamba.train.InitialWeights;
import io.audiomamba.train.Recipe;
import io.audiomamba.train.TrainingRun;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code audiomamba train}. */
@Command(name = "train", mixinStandardHelpOptions = true, description = {"Trains a model by a recipe.",
        "Ctrl-C finishes the step, saves, and says how to go on."})
final class TrainCommand implements Callable<Integer> {

    @Spec
    private CommandSpec spec;

    @Mixin
    private RecipeOptions recipe;

    @Option(names = "--data", paramLabel = "DIR", required = true, description = "A dataset, packed or not.")
    private Path data;

    @Option(names = {"-o",
            "--output"}, paramLabel = "DIR", required = true, description = "Where models and figures go.")
    private Path output;

    @Option(names = "--fold", paramLabel = "K", description = "Holds this fold out and evaluates on it.")
    private Integer fold;

    @Option(names = "--resume", description = "Goes on with an interrupted training in the same folder.")
    private boolean resume;

    @Option(names = "--crossval", paramLabel = "DIR", description = "A finished cross-validation of this recipe: the model carries its figures and is calibrated by it.")
    private Path crossval;

    @Mixin
    private InitialWeightsOption init;

    @Option(names = "--half", description = "Stores the models in float16.")
    private boolean half;

    @Mixin
    private DeviceOption device;

    @Mixin
    private ThreadsOption threads;

    @Override
    public Integer call() {
        threads.apply();
        Dataset dataset = DatasetReader.read(data, output, spec.commandLine().getErr());
        return init.with(recipe, dataset.labels(), (chosen, weights) -> train(chosen, weights, dataset));
    }

    private int train(Recipe chosen, InitialWeights weights, Dataset dataset) {
        Dataset training = fold == null ? dataset : dataset.withoutFold(fold);
        Dataset validation = fold == null ? null : dataset.fold(fold);
        CrossValidation.Summary calibration = crossval == null
                ? null
                : new CrossValidation(chosen, weights, dataset, crossval).summary();
        TrainingRun run = new TrainingRun(output, chosen, training, validation);
        TrainingRun.Setting setting = new TrainingRun.Setting(device.get(chosen, spec.commandLine().getErr()), weights,
                calibration,
                half ? DType.F16 : DType.F32);
        return Termination.stoppable(run::stop, () -> {
            TrainingRun.Outcome outcome;
            try (TrainingProgress progress = new TrainingProgress(spec.commandLine().getErr(),
                    chosen.train().epochs())) {
                outcome = run.run(setting, resume, progress);
            }
            return report(outcome);
        });
    }

    private int report(TrainingRun.Outcome outcome) {
        PrintWriter err = spec.commandLine().getErr();
        int unreadable = outcome.unreadable().size();
        if (unreadable > 0) {
            err.printf("audiomamba: %d of the clips could not be read and %s left out.%n", unreadable,
                    unreadable == 1 ? "was" : "were");
        }
        if (!outcome.finished()) {
            err.printf("audiomamba: stopped; the same command with --resume goes on from here.%n");
            return Main.INPUT_FAILED;
        }
        spec.commandLine().getOut().println(output.resolve("last.safetensors"));
        return unreadable == 0 ? Main.DONE : Main.INPUT_FAILED;
    }
}

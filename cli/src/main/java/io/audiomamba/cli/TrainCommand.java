package io.audiomamba.cli;

import io.audiomamba.checkpoint.DType;
import io.audiomamba.data.Dataset;
import io.audiomamba.evaluation.Metrics;
import io.audiomamba.train.CrossValidation;
import io.audiomamba.train.Trainer;
import io.audiomamba.train.TrainingRun;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code audiomamba train}. */
@Command(name = "train", mixinStandardHelpOptions = true, description = "Trains a model by a recipe.")
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

    @Option(names = "--half", description = "Stores the models in float16.")
    private boolean half;

    @Mixin
    private DeviceOption device;

    @Mixin
    private ThreadsOption threads;

    @Override
    public Integer call() {
        threads.apply();
        Dataset dataset = DatasetReader.read(data, spec.commandLine().getErr());
        Dataset training = fold == null ? dataset : dataset.withoutFold(fold);
        Dataset validation = fold == null ? null : dataset.fold(fold);
        CrossValidation.Summary calibration = crossval == null
                ? null
                : new CrossValidation(dataset, crossval).summary();
        new TrainingRun(output, recipe.get(), training, validation).run(device.get(), resume, calibration,
                half ? DType.F16 : DType.F32, this::progress);
        spec.commandLine().getOut().println(output.resolve("last.safetensors"));
        return Main.DONE;
    }

    private void progress(Trainer.Epoch epoch, Metrics metrics) {
        spec.commandLine().getErr().printf(Locale.ROOT, "epoch %d  loss %.4f  %.1f clips/s%s%n", epoch.number(),
                epoch.loss(), epoch.clips() / epoch.seconds(),
                metrics == null
                        ? ""
                        : String.format(Locale.ROOT, "  accuracy %.2f %%  mAP %.4f", 100 * metrics.accuracy(),
                                metrics.meanAveragePrecision()));
    }
}

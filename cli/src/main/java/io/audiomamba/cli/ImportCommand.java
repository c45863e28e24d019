package io.audiomamba.cli;

import io.audiomamba.checkpoint.Description;
import io.audiomamba.exchange.ForeignCheckpoint;
import io.audiomamba.labels.Labels;
import io.audiomamba.model.Variants;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code audiomamba import}. */
@Command(name = "import", mixinStandardHelpOptions = true, description = {
        "Turns a checkpoint of VMamba or DASS into one of this project's, which describes itself.",
        "Nothing in the file is run."})
final class ImportCommand implements Callable<Integer> {

    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "FILE", description = ".pth, .bin, .safetensors, or the index of sharded safetensors.")
    private Path file;

    @Option(names = {"-o",
            "--output"}, paramLabel = "OUT.safetensors", required = true, description = "Where to write it.")
    private Path output;

    @Option(names = "--labels", paramLabel = "L", description = "A file with one class a line, audioset, or imagenet (whose classes are called by their numbers). By default the one of these that has as many.")
    private String labels;

    @Option(names = "--activation", paramLabel = "A", description = "sigmoid, for classes that may sound at once, or softmax. By default sigmoid, for images softmax.")
    private Description.Activation activation;

    @Override
    public Integer call() {
        Main.requireOther(spec, output, file, "FILE");
        if (labels != null) {
            Main.requireOther(spec, output, Path.of(labels), "--labels");
        }
        try (ForeignCheckpoint checkpoint = ForeignCheckpoint.open(file)) {
            Description found = labels == null
                    ? checkpoint.description()
                    : checkpoint.describedBy(Labels.read(labels), labels);
            Description description = new Description(found.model(), found.frontEnd(), found.labels(),
                    activation == null ? found.activation() : activation, found.temperature(), found.provenance())
                    .with(Map.of("imported by", new Version().getVersion()[0]));
            checkpoint.write(output, description);
            spec.commandLine().getOut().println(output + ": " + summary(checkpoint, description));
        }
        return Main.DONE;
    }

    /** One line on what was found. */
    private static String summary(ForeignCheckpoint checkpoint, Description description) {
        String variant = Variants.nameOf(description.model()).orElse("an unpublished architecture");
        long parameters = checkpoint.tensors().entrySet().stream()
                .filter(entry -> !entry.getKey().contains("running_") && !entry.getValue().shape().isEmpty())
                .mapToLong(entry -> entry.getValue().elements()).sum();
        return String.format(Locale.ROOT, "%s, %,d parameters in %s, front end %s, %d classes (%s, …)", variant,
                parameters,
                checkpoint.type().name().toLowerCase(Locale.ROOT), description.frontEnd(), description.labels().size(),
                description.labels().getFirst());
    }
}

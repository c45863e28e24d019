package io.audiomamba.cli;

import io.audiomamba.data.Dataset;
import io.audiomamba.data.PackedDataset;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code audiomamba pack}. */
@Command(name = "pack", mixinStandardHelpOptions = true, description = {
        "Decodes a dataset once, into memory-mapped safetensors shards of int16 samples.",
        "An interrupted call may be repeated: it goes on."})
final class PackCommand implements Callable<Integer> {

    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "DATA", description = "A dataset: ESC-50's layout, AudioSet's, a folder per class, or a CSV manifest.")
    private Path data;

    @Option(names = {"-o", "--output"}, paramLabel = "DIR", required = true, description = "Where to.")
    private Path output;

    @Option(names = "--rate", paramLabel = "HZ", defaultValue = "32000", description = "Sample rate, 1000 to 384000 (${DEFAULT-VALUE}, the paper's; 16000 for DASS).")
    private int rate;

    @Override
    public Integer call() {
        Dataset dataset = DatasetReader.read(data, output, spec.commandLine().getErr());
        Map<String, String> failures;
        try (ClipProgress progress = new ClipProgress(spec.commandLine().getErr(), "packing")) {
            failures = PackedDataset.write(dataset, output, rate, progress);
        }
        failures.forEach((clip, reason) -> spec.commandLine().getErr().println("audiomamba: " + reason));
        spec.commandLine().getOut().printf("%s: %d clips, %d classes, %d Hz; %d clips could not be decoded%n", output,
                dataset.clips().size() - failures.size(), dataset.labels().size(), rate, failures.size());
        return failures.isEmpty() ? Main.DONE : Main.INPUT_FAILED;
    }
}

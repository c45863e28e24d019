package io.audiomamba.cli;

import io.audiomamba.AudioTagger;
import io.audiomamba.Tag;
import io.audiomamba.TaggerOptions;
import io.audiomamba.Tagging;
import io.audiomamba.error.AudioException;
import io.audiomamba.labels.LabelFilter;
import java.io.PrintWriter;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code audiomamba tag}. */
@Command(name = "tag", mixinStandardHelpOptions = true, description = "Names what is heard in sound files.")
final class TagCommand implements Callable<Integer> {

    @Spec
    private CommandSpec spec;

    @Option(names = "--model", paramLabel = "M", defaultValue = Main.MODEL, description = "A checkpoint, or the name of a bundled or installed model (${DEFAULT-VALUE}).")
    private String model;

    @Option(names = "--top-k", paramLabel = "K", defaultValue = "3", description = "How many tags to print at most (${DEFAULT-VALUE}).")
    private int topK;

    @Option(names = "--threshold", paramLabel = "T", defaultValue = "0", description = "The least probability to print, in [0, 1] (${DEFAULT-VALUE}).")
    private double threshold;

    @Option(names = "--format", paramLabel = "F", defaultValue = "text", description = "${COMPLETION-CANDIDATES}; json prints one object a line (${DEFAULT-VALUE}).")
    private TagFormat format;

    @Mixin
    private LabelFilterOptions filter;

    @Mixin
    private DeviceOption device;

    @Mixin
    private ThreadsOption threads;

    @Parameters(paramLabel = "FILE", arity = "1..*", description = "WAV, AIFF, FLAC, MP3, Ogg Vorbis, Opus, AAC, M4A, or the sound of MP4, WebM, Matroska.")
    private List<String> files;

    @Override
    public Integer call() {
        if (topK < 1) {
            throw new ParameterException(spec.commandLine(), "--top-k is " + topK + " but must be 1 or more.");
        }
        if (!(threshold >= 0 && threshold <= 1)) {
            throw new ParameterException(spec.commandLine(),
                    "--threshold is " + threshold + " but must be in [0, 1]: it is a probability.");
        }
        threads.apply();
        int failures = 0;
        TagPrinter printer = format.printer(spec.commandLine().getOut(), spec.commandLine().getErr(), model);
        try (AudioTagger tagger = AudioTagger.load(model, new TaggerOptions(device.name()))) {
            LabelFilter wanted = filter.over(tagger.labels());
            for (String file : files) {
                try {
                    Tagging tagging = tagger.tag(Path.of(file));
                    List<Tag> tags = tagging.above(threshold).stream().filter(tag -> wanted.test(tag.label())).toList();
                    printer.tags(file, tagging.seconds(), tags.subList(0, Math.min(topK, tags.size())));
                } catch (AudioException | InvalidPathException e) {
                    failures++;
                    printer.failure(file, e.getMessage());
                }
            }
        }
        return failures == 0 ? Main.DONE : Main.INPUT_FAILED;
    }
}

package io.audiomamba.cli;

import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.labels.Labels;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Variants;
import io.audiomamba.torch.Natives;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.bytedeco.javacpp.PointerScope;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code audiomamba init}. */
@Command(name = "init", mixinStandardHelpOptions = true, description = {
        "Writes a checkpoint with random weights, to be trained.",
        "Presets: nano, micro, tiny (the paper's sizes), or any VMamba variant such as tiny_s1l8."})
final class InitCommand implements Callable<Integer> {

    @Spec
    private CommandSpec spec;

    @Option(names = "--preset", paramLabel = "P", required = true, description = "Architecture.")
    private String preset;

    @Option(names = "--labels", paramLabel = "FILE", required = true, description = "Classes, one a line; or audioset for its 527.")
    private String labels;

    @Option(names = "--head", paramLabel = "H", description = "token-semantic or linear; by default token-semantic, but linear for DASS.", converter = HeadConverter.class)
    private HeadKind head;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "19990318", description = "Equal seeds give equal weights (${DEFAULT-VALUE}).")
    private long seed;

    @Option(names = {"-o",
            "--output"}, paramLabel = "X.safetensors", required = true, description = "Where to write it.")
    private Path output;

    @Override
    public Integer call() {
        Main.requireOther(spec, output, Path.of(labels), "--labels");
        ModelConfig variant = Variants.named(preset);
        List<String> classes = Labels.read(labels);
        ModelConfig config = variant.forSound(classes.size(), head == null ? HeadKind.TOKEN_SEMANTIC : head);
        if (head != null && config.head() != head) {
            throw new ParameterException(spec.commandLine(),
                    "--head token-semantic needs a folded spectrogram, which " + preset
                            + " does not read; use linear.");
        }
        Map<String, String> provenance = new LinkedHashMap<>();
        provenance.put("preset", preset);
        provenance.put("weights", "random, seed " + seed);
        provenance.put("written by", new Version().getVersion()[0]);
        Description description = new Description(config, Description.frontEndOf(config.input()), classes,
                Activation.SIGMOID, 1, provenance);
        Natives.loadTorch();
        try (var _ = new PointerScope(); Parameters parameters = new Parameters(Parameters.Source.random(seed))) {
            new AudioMamba(config, parameters);
            Checkpoint.write(output, description, parameters.tensors(), DType.F32);
            spec.commandLine().getOut().printf(Locale.ROOT, "%s: %s, %,d parameters, %d classes, random weights%n",
                    output, preset,
                    parameters.count(), classes.size());
        }
        return Main.DONE;
    }
}

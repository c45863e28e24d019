package io.audiomamba.cli;

import io.audiomamba.Models;
import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.model.ComputeCost;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.ModelConfigJson;
import io.audiomamba.torch.Devices;
import io.audiomamba.train.CrossValidation;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code audiomamba info}. */
@Command(name = "info", mixinStandardHelpOptions = true, description = "Says what a checkpoint holds.")
final class InfoCommand implements Callable<Integer> {

    /** Between the lines of one entry. */
    private static final String CONTINUED = "\n" + " ".repeat(23);

    @Spec
    private CommandSpec spec;

    @Option(names = "--seconds", paramLabel = "S", defaultValue = "10", description = "Length of the sound whose cost is printed (${DEFAULT-VALUE}).")
    private double seconds;

    @Parameters(paramLabel = "CHECKPOINT", description = "A file, or the name of a model.")
    private String checkpoint;

    @Override
    public Integer call() {
        if (!(seconds > 0 && seconds <= 86_400)) {
            throw new ParameterException(spec.commandLine(), "--seconds is " + seconds + " but must be in (0, 86400].");
        }
        PrintWriter out = spec.commandLine().getOut();
        // Loaded, since a file whose tensors do not fit must not be described as if they did.
        try (Checkpoint open = Models.open(checkpoint); var parameters = open.load().parameters()) {
            Description description = open.description();
            out.println(checkpoint);
            section(out, "model", modelOf(description));
            section(out, "parameters", parametersOf(parameters));
            section(out, "use", useOf(description));
            section(out, "provenance", provenanceOf(description));
            out.println("labels (" + description.labels().size() + ")");
            out.println(wrapped(description.labels()));
        }
        return Main.DONE;
    }

    private static Map<String, String> modelOf(Description description) {
        Map<String, String> lines = new LinkedHashMap<>();
        ModelConfigJson.write(description.model()).properties()
                .forEach(entry -> lines.put(entry.getKey(), entry.getValue().toString().replace("\"", "")));
        return lines;
    }

    private static Map<String, String> parametersOf(io.audiomamba.model.Parameters parameters) {
        Map<String, Long> modules = new LinkedHashMap<>();
        parameters.trainable().forEach((name, tensor) -> {
            String[] parts = name.split("\\.");
            String module = parts[0].equals("layers") ? parts[0] + "." + parts[1] : parts[0];
            modules.merge(module, tensor.numel(), Long::sum);
        });
        Map<String, String> lines = new LinkedHashMap<>();
        modules.forEach((module, count) -> lines.put(module, count(count)));
        lines.put("total", count(parameters.count()));
        return lines;
    }

    private static String count(long values) {
        return String.format(Locale.ROOT, "%,12d", values);
    }

    private Map<String, String> useOf(Description description) {
        if (description.model().input() == InputKind.IMAGE) {
            return Map.of("front end", "none: a model of images, to start a training from (train --init)");
        }
        FrontEnd frontEnd = FrontEnd.named(description.frontEnd(), Devices.cpu());
        double window = (double) frontEnd.windowSamples() / frontEnd.sampleRate();
        long windows = (long) Math.ceil(seconds / window);
        double macs = (double) windows * ComputeCost.ofWindow(description.model());
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("front end",
                String.format(Locale.ROOT, "%s, %d Hz, windows of %.1f s", frontEnd.name(), frontEnd.sampleRate(),
                        window));
        lines.put("scores", description.activation().name().toLowerCase(Locale.ROOT)
                + (description.temperature() == 1 ? "" : ", temperature " + description.temperature()));
        lines.put("cost", String.format(Locale.ROOT, "%.2f GMAC for %.1f s of sound (%d window%s)", macs / 1e9, seconds,
                windows, windows == 1 ? "" : "s"));
        return lines;
    }

    private static Map<String, String> provenanceOf(Description description) {
        Map<String, String> lines = new LinkedHashMap<>(description.provenance());
        CrossValidation.Summary.of(description.provenance()).ifPresent(summary -> lines.put(
                CrossValidation.Summary.PROVENANCE, summary.accuracy().percent() + " accuracy in " + summary.runs()
                        + " runs"));
        return lines;
    }

    private static void section(PrintWriter out, String title, Map<String, String> lines) {
        out.println(title);
        lines.forEach((name, value) -> out.printf("  %-20s %s%n", name, value.strip().replace("\n", CONTINUED)));
    }

    private static String wrapped(List<String> labels) {
        StringBuilder text = new StringBuilder();
        int column = 0;
        for (String label : labels) {
            String item = column == 0 ? "  " + label : ", " + label;
            if (column > 0 && column + item.length() > 96) {
                text.append(",\n");
                item = "  " + label;
                column = 0;
            }
            text.append(item);
            column += item.length();
        }
        return text.toString();
    }
}

package io.audiomamba.cli;

import io.audiomamba.Models;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.registry.Downloader;
import io.audiomamba.registry.Installer;
import io.audiomamba.registry.PublicModel;
import io.audiomamba.registry.Registry;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code audiomamba pull}. */
@Command(name = "pull", mixinStandardHelpOptions = true, description = {
        "Fetches a public model once, checks and imports it; it then works by its name, without a network.",
        "'audiomamba models' lists what there is."})
final class PullCommand implements Callable<Integer> {

    private static final int STEPS = 10;

    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "NAME", description = "The model's name.")
    private String name;

    @Option(names = "--force", description = "Fetches it again even if it is installed.")
    private boolean force;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        if (Models.isBundled(name)) {
            out.println(name + ": is bundled; there is nothing to fetch.");
            return Main.DONE;
        }
        Registry registry = Registry.known();
        PublicModel model = registry.find(name).orElseThrow(() -> new ConfigurationException(
                "There is no public model '" + name + "'; known are " + registry.all().stream().map(PublicModel::name)
                        .collect(Collectors.joining(", ")) + "."));
        Installer installer = new Installer(Models.home(), new Downloader());
        Path file = installer.fileOf(model);
        if (Files.exists(file) && !force) {
            out.println(model.name() + ": is installed already, in " + file);
            return Main.DONE;
        }
        spec.commandLine().getErr().printf("%s, licence %s, from %s%n", model.title(), model.licence(), model.page());
        out.println(model.name() + ": installed in " + installer.install(model, progress()));
        return Main.DONE;
    }

    /** A line now and then. */
    private Downloader.Progress progress() {
        PrintWriter err = spec.commandLine().getErr();
        int[] step = {-1};
        return (bytes, total) -> {
            int reached = total > 0 ? (int) (STEPS * bytes / total) : (int) (bytes >> 26);
            if (reached > step[0]) {
                step[0] = reached;
                err.printf(Locale.ROOT, "  %.1f%s MB%n", bytes / 1e6,
                        total > 0 ? String.format(Locale.ROOT, " of %.1f", total / 1e6) : "");
            }
        };
    }
}

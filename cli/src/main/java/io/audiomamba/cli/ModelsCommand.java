package io.audiomamba.cli;

import io.audiomamba.Models;
import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.registry.PublicModel;
import io.audiomamba.registry.Registry;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code audiomamba models}. */
@Command(name = "models", mixinStandardHelpOptions = true, description = "Lists the models that are bundled, are installed or can be pulled.")
final class ModelsCommand implements Callable<Integer> {

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        List<PublicModel> known = Registry.known().all();
        if (Models.isBundled(Main.MODEL)) {
            try (Checkpoint bundled = Models.open(Main.MODEL)) {
                out.println("Bundled, and used where no other is named");
                out.printf("%-22s %s%n%n", Main.MODEL, String.join(", ", bundled.description().labels()));
            }
        }
        List<String> installed = new ArrayList<>(Models.installed());
        String format = "%-22s %-45s %8s  %-24s %-13s %s%n";
        for (PublicModel.Task task : PublicModel.Task.values()) {
            out.println(task == PublicModel.Task.TAGGING ? "For tagging" : "To start a training from (train --init)");
            out.printf(format, "name", "title", "size", "published figure", "licence", "");
            for (PublicModel model : known) {
                if (model.task() == task) {
                    String names = String.join(", ", model.aliases());
                    out.printf(format, model.name(), model.title() + (names.isEmpty() ? "" : " (= " + names + ")"),
                            sizeOf(model), model.figure(), model.licence(),
                            installed.remove(model.name()) ? "installed" : "");
                }
            }
            out.println();
        }
        if (!installed.isEmpty()) {
            out.println("Others in " + Models.home().resolve("models"));
            installed.forEach(out::println);
        }
        return Main.DONE;
    }

    private static String sizeOf(PublicModel model) {
        return model.parameters() == 0 ? "" : String.format(Locale.ROOT, "%.1f M", model.parameters() / 1e6);
    }
}

package io.audiomamba.cli;

import io.audiomamba.train.Recipe;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.Option;

/** {@code --recipe} and {@code --set}. */
final class RecipeOptions {

    @Option(names = "--recipe", paramLabel = "NAME|FILE", required = true, description = "A recipe of this project (${COMPLETION-CANDIDATES}) or a YAML file.", completionCandidates = RecipeOptions.Names.class)
    private String recipe;

    @Option(names = "--set", paramLabel = "KEY=VALUE", description = "Changes a value of the recipe, such as optimizer.lr=3e-4; may be repeated.")
    private Map<String, String> settings = new LinkedHashMap<>();

    /** The recipes of this project. */
    static final class Names implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return Recipe.names().iterator();
        }
    }

    /** The recipe that was asked for. */
    Recipe get() {
        return Recipe.of(recipe, settings);
    }

    /** The recipe that was asked for, on the architecture {@code variant} unless that was asked for too. */
    Recipe on(String variant) {
        Map<String, String> all = new LinkedHashMap<>(settings);
        all.putIfAbsent("model.preset", variant);
        return Recipe.of(recipe, all);
    }
}

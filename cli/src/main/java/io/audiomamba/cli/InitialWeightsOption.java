package io.audiomamba.cli;

import io.audiomamba.train.InitialWeights;
import io.audiomamba.train.PretrainedWeights;
import io.audiomamba.train.Recipe;
import java.util.List;
import java.util.function.ToIntBiFunction;
import picocli.CommandLine.Option;

/** {@code --init}. */
final class InitialWeightsOption {

    @Option(names = "--init", paramLabel = "CHECKPOINT|NAME", description = "Training begins with the weights of a checkpoint, as far as they fit, and with its architecture unless --set model.preset names another.")
    private String init;

    /**
     * What {@code training} gives with the recipe, on the architecture that the weights have, and the weights.
     *
     * @param classes of the new model
     */
    int with(RecipeOptions recipe, List<String> classes, ToIntBiFunction<Recipe, InitialWeights> training) {
        if (init == null) {
            return training.applyAsInt(recipe.get(), InitialWeights.RANDOM);
        }
        try (PretrainedWeights weights = PretrainedWeights.of(init, classes)) {
            return training.applyAsInt(weights.variant().map(recipe::on).orElseGet(recipe::get), weights);
        }
    }
}

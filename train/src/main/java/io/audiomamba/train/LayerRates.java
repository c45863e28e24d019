package io.audiomamba.train;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig;
import java.util.List;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How fast each tensor of a model learns, relative to the head: a block learns {@code layer_decay} times as fast as the
 * next one (Clark et al. 2020, ELECTRA; Bao et al. 2022, BEiT), and what is frozen not at all.
 */
final class LayerRates implements ToDoubleFunction<String> {

    private static final Pattern LAYER = Pattern.compile("layers\\.(\\d+)\\.(?:blocks\\.(\\d+)\\.)?.*");

    private final List<Integer> depths;
    private final double decay;
    private final List<String> frozen;

    LayerRates(ModelConfig config, Recipe.Optimizer recipe) {
        depths = config.depths();
        decay = recipe.layerDecay();
        frozen = recipe.frozen();
    }

    /**
     * @param names of what can be trained
     * @throws ConfigurationException if something is to be frozen that none of them begins with, or all is
     */
    LayerRates checked(Set<String> names) {
        for (String prefix : frozen) {
            if (names.stream().noneMatch(name -> name.startsWith(prefix))) {
                throw new ConfigurationException("The recipe's optimizer.frozen names '" + prefix
                        + "', but no weight of the model begins so; 'audiomamba info' shows their names.");
            }
        }
        if (names.stream().allMatch(this::isFrozen)) {
            throw new ConfigurationException("The recipe's optimizer.frozen leaves nothing to train.");
        }
        return this;
    }

    private boolean isFrozen(String name) {
        return frozen.stream().anyMatch(name::startsWith);
    }

    @Override
    public double applyAsDouble(String name) {
        return isFrozen(name) ? 0 : Math.pow(decay, blocks() + 1 - level(name));
    }

    private int blocks() {
        return depths.stream().mapToInt(Integer::intValue).sum();
    }

    /** 0 for what comes before the blocks, 1 for the first one, and one more than the number of blocks for the head. */
    private int level(String name) {
        Matcher layer = LAYER.matcher(name);
        if (!layer.matches()) {
            return name.startsWith("patch_embed") || name.startsWith("bn0") ? 0 : blocks() + 1;
        }
        int stage = Integer.parseInt(layer.group(1));
        int before = depths.subList(0, stage).stream().mapToInt(Integer::intValue).sum();
        // What follows the blocks of a stage learns with the last of them.
        return before + (layer.group(2) == null ? depths.get(stage) : Integer.parseInt(layer.group(2)) + 1);
    }
}

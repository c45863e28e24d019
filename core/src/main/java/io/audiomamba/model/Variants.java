package io.audiomamba.model;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig.Downsampling;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.ModelConfig.Normalization;
import io.audiomamba.model.ModelConfig.PatchEmbedding;
import io.audiomamba.model.ModelConfig.ScanForm;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The named models: the paper's sizes, every published VMamba, DASS, and the tiny ones of the tests. */
public final class Variants {

    private static final Map<String, ModelConfig> NAMED = new LinkedHashMap<>();

    static {
        // The sizes that the paper prints; widths and depths are ours and reproduce its parameter counts.
        NAMED.put("nano",
                vanilla(48, 0.1, 2, 2, 2, 2).forAudio(InputKind.FOLDED_LOG_MEL, 527, HeadKind.TOKEN_SEMANTIC));
        NAMED.put("micro",
                vanilla(64, 0.1, 2, 2, 9, 2).forAudio(InputKind.FOLDED_LOG_MEL, 527, HeadKind.TOKEN_SEMANTIC));
        NAMED.put("tiny", s(2, Normalization.LN2D, 96, 0.2, 2, 2, 9, 2).forAudio(InputKind.FOLDED_LOG_MEL, 527,
                HeadKind.TOKEN_SEMANTIC));
        // As wide and deep as nano, of the blocks of VMamba's second generation.
        NAMED.put("nano_s1l2", s(1, Normalization.LN2D, 48, 0.1, 2, 2, 2, 2).forAudio(InputKind.FOLDED_LOG_MEL, 527,
                HeadKind.TOKEN_SEMANTIC));
        // VMamba, second generation: "s" is the ratio of the scan's width, "l" the depth of the third stage.
        NAMED.put("tiny_s1l8", s(1, Normalization.LN2D, 96, 0.2, 2, 2, 8, 2));
        NAMED.put("small_s1l20", s(1, Normalization.LN2D, 96, 0.3, 2, 2, 20, 2));
        NAMED.put("base_s1l20", s(1, Normalization.LN2D, 128, 0.5, 2, 2, 20, 2));
        NAMED.put("tiny_s2l5", s(2, Normalization.LN2D, 96, 0.2, 2, 2, 5, 2));
        NAMED.put("small_s2l15", s(2, Normalization.LN2D, 96, 0.3, 2, 2, 15, 2));
        NAMED.put("base_s2l15", s(2, Normalization.LN2D, 128, 0.6, 2, 2, 15, 2));
        // VMamba, first release.
        NAMED.put("vanilla_tiny", vanilla(96, 0.2, 2, 2, 9, 2));
        NAMED.put("vanilla_small", vanilla(96, 0.3, 2, 2, 27, 2));
        NAMED.put("vanilla_base", vanilla(128, 0.6, 2, 2, 27, 2));
        // VMamba between the two.
        NAMED.put("tiny_0220", v2(96, 1, false, PatchEmbedding.V2, Downsampling.V3, 2, 2, 4, 2));
        NAMED.put("tiny_v2_ds16", v2(96, 16, true, PatchEmbedding.V2, Downsampling.V3, 2, 2, 4, 2));
        // DASS: VMamba on one channel, with AudioSet's classes.
        NAMED.put("dass_small",
                s(1, Normalization.LN2D, 96, 0.2, 2, 2, 8, 2).forAudio(InputKind.FILTER_BANK, 527, HeadKind.LINEAR));
        NAMED.put("dass_medium",
                s(1, Normalization.LN2D, 96, 0.3, 2, 2, 20, 2).forAudio(InputKind.FILTER_BANK, 527, HeadKind.LINEAR));
        // Too small to be of use, and therefore quick to test.
        NAMED.put("nano_s1", s(1, Normalization.LN2D, 16, 0.2, 1, 1, 2, 1));
        NAMED.put("nano_s1_ln", s(1, Normalization.LN, 16, 0.2, 1, 1, 2, 1));
        NAMED.put("nano_s1_chunky", s(1, Normalization.LN2D, 24, 0.2, 1, 2, 1));
        NAMED.put("nano_s2", s(2, Normalization.LN2D, 16, 0.2, 1, 1, 2, 1));
        NAMED.put("nano_bn", s(1, Normalization.BN, 16, 0.2, 1, 1, 2, 1));
        NAMED.put("nano_v0", vanilla(16, 0.2, 1, 1, 2, 1));
        NAMED.put("nano_v2", v2(16, 16, true, PatchEmbedding.V2, Downsampling.V3, 1, 1, 2, 1));
        NAMED.put("nano_v2_defaults", v2(16, 16, true, PatchEmbedding.V1, Downsampling.V2, 1, 1, 2, 1));
    }

    private Variants() {}

    /** Blocks of the first release: gated, a state of 16 for each channel, no feed-forward network. */
    private static ModelConfig vanilla(int width, double dropPath, Integer... depths) {
        return imageNet(width, List.of(depths), 16, 2, "v0", true, 0, PatchEmbedding.V1, Downsampling.V1,
                Normalization.LN, dropPath);
    }

    /** Blocks of the second generation: no gate, a state of 1 for each channel, a feed-forward network. */
    private static ModelConfig s(double ratio, Normalization normalization, int width, double dropPath,
            Integer... depths) {
        return imageNet(width, List.of(depths), 1, ratio, "v05_noz", false, 4, PatchEmbedding.V2, Downsampling.V3,
                normalization, dropPath);
    }

    private static ModelConfig v2(int width, int state, boolean convBias, PatchEmbedding patches, Downsampling down,
            Integer... depths) {
        return imageNet(width, List.of(depths), state, 2, "v2", convBias, 4, patches, down, Normalization.LN, 0.2);
    }

    private static ModelConfig imageNet(int width, List<Integer> depths, int state, double ratio, String form,
            boolean convBias, double mlpRatio, PatchEmbedding patches, Downsampling down, Normalization normalization,
            double dropPath) {
        return new ModelConfig(InputKind.IMAGE, 3, 1000, ModelConfig.doubling(width, depths.size()), depths, state,
                ratio,
                new ScanForm(form), convBias, mlpRatio, patches, down, normalization, HeadKind.LINEAR, dropPath, 0, 0);
    }

    /** Every name. */
    public static List<String> names() {
        return List.copyOf(NAMED.keySet());
    }

    /**
     * The model called {@code name}, with its published input and classes.
     *
     * @throws ConfigurationException listing the names there are
     */
    public static ModelConfig named(String name) {
        ModelConfig config = NAMED.get(name);
        if (config == null) {
            throw new ConfigurationException(
                    "There is no model variant '" + name + "'; known are " + String.join(", ", NAMED.keySet()) + ".");
        }
        return config;
    }

    /** The name of the model that has the architecture of {@code config}, whatever its classes and its head. */
    public static Optional<String> nameOf(ModelConfig config) {
        return NAMED.entrySet().stream().filter(named -> sameShapes(named.getValue(), config))
                .min(Comparator.comparing(named -> named.getValue().input() != config.input())).map(Map.Entry::getKey);
    }

    /** Whether all tensors between input and head have the same names and shapes. */
    private static boolean sameShapes(ModelConfig a, ModelConfig b) {
        return a.dims().equals(b.dims()) && a.depths().equals(b.depths()) && a.stateSize() == b.stateSize()
                && a.ssmRatio() == b.ssmRatio() && a.scanForm().gated() == b.scanForm().gated()
                && a.convBias() == b.convBias() && a.mlpRatio() == b.mlpRatio()
                && a.patchEmbedding() == b.patchEmbedding() && a.downsampling() == b.downsampling()
                && (a.normalization() == Normalization.BN) == (b.normalization() == Normalization.BN);
    }
}

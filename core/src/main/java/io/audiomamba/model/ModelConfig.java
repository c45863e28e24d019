package io.audiomamba.model;

import io.audiomamba.error.ConfigurationException;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * The shape of a model, in the terms of VMamba's constructor.
 *
 * @param input          what the model is fed
 * @param inChannels     channels of the input image: 1 for spectrograms, 3 for ImageNet models
 * @param classes        number of scores
 * @param dims           width of the tokens in each stage
 * @param depths         number of blocks in each stage
 * @param stateSize      N, the state of the scan for each channel
 * @param ssmRatio       width of the scan over width of the tokens
 * @param scanForm       the variant of the token mixer
 * @param convBias       whether the depthwise convolution has a bias
 * @param mlpRatio       width of the feed-forward network over width of the tokens; 0 for none
 * @param patchEmbedding how the image becomes tokens
 * @param downsampling   what lies between two stages
 * @param normalization  of tokens, everywhere
 * @param head           what turns tokens into scores
 * @param dropPath       drop path rate of the last block, in [0, 1)
 * @param ssmDropout     dropout after the token mixer, in [0, 1)
 * @param mlpDropout     dropout in the feed-forward network, in [0, 1)
 * @param attentionAfter  stages, from 0, whose blocks are followed by a block of self-attention, as in the paper's ablation
 */
public record ModelConfig(InputKind input, int inChannels, int classes, List<Integer> dims, List<Integer> depths,
        int stateSize,
        double ssmRatio, ScanForm scanForm, boolean convBias, double mlpRatio, PatchEmbedding patchEmbedding,
        Downsampling downsampling, Normalization normalization, HeadKind head, double dropPath, double ssmDropout,
        double mlpDropout, List<Integer> attentionAfter) {

    /** Blocks of a stage: a hostile file could keep its reader busy for ever. */
    private static final int MOST_BLOCKS = 1000;
    /** Each stage halves the grid: there is no grid that can be halved as often. */
    private static final int MOST_STAGES = 16;

    private static final String WIDTHS = "so large that it makes 1 channel or more of each of dims, and at most "
            + Integer.MAX_VALUE;

    /** What the model is fed. */
    public enum InputKind {
        /** An image, (B, channels, H, W). */
        IMAGE,
        /** A log-mel spectrogram of any length, (B, frames, 64). */
        LOG_MEL,
        /** A log-mel spectrogram of at most 1,024 frames, folded to a square image as HTS-AT does. */
        FOLDED_LOG_MEL,
        /** A normalised Kaldi filter bank, (B, frames, bins). */
        FILTER_BANK
    }

    /** {@code patchembed_version}. */
    public enum PatchEmbedding {
        /** One 4 x 4 convolution. */
        V1,
        /** Two 3 x 3 convolutions with stride 2. */
        V2
    }

    /** {@code downsample_version}. */
    public enum Downsampling {
        /** Patch merging. */
        V1,
        /** A 2 x 2 convolution with stride 2. */
        V2,
        /** A 3 x 3 convolution with stride 2. */
        V3
    }

    /** {@code norm_layer}. */
    public enum Normalization {
        /** LayerNorm. */
        LN,
        /** LayerNorm over the channels of channels-first images: the same mathematics. */
        LN2D,
        /** BatchNorm. */
        BN
    }

    /** What turns tokens into scores. */
    public enum HeadKind {
        /** VMamba's and DASS's classifier. */
        LINEAR,
        /** HTS-AT's token-semantic module, which also scores every time step of a folded spectrogram. */
        TOKEN_SEMANTIC
    }

    /**
     * {@code forward_type}: a base and suffixes. The bases {@code v0}, {@code v01} to {@code v05}, {@code v2} and
     * {@code v3} name implementations of the same mathematics.
     *
     * @param name as the official code spells it, such as {@code v05_noz}
     */
    public record ScanForm(String name) {

        private static final Pattern KNOWN = Pattern.compile("(v0[1-5]?|v2|v3)(_no32|_oact|_noz|_nozact)*");

        /**
         * @throws ConfigurationException if the scan has other directions or parts than this project computes
         */
        public ScanForm {
            require(KNOWN.matcher(name).matches(), "forward_type", name,
                    "v0, v01 to v05, v2 or v3, perhaps with _noz, _nozact, _oact, _no32");
        }

        /** Whether a second half of the input projection multiplies the result. */
        public boolean gated() {
            return !hasSuffix("noz");
        }

        /** Whether that half goes through SiLU first. */
        public boolean gateActivated() {
            return !hasSuffix("nozact");
        }

        /** Whether the scan's normalised result goes through GELU. */
        public boolean outputActivated() {
            return hasSuffix("oact");
        }

        private boolean hasSuffix(String suffix) {
            return List.of(name.split("_")).contains(suffix);
        }
    }

    /**
     * @throws ConfigurationException naming the value that makes no sense
     */
    public ModelConfig {
        dims = List.copyOf(dims);
        depths = List.copyOf(depths);
        attentionAfter = List.copyOf(attentionAfter);
        int stages = depths.size();
        require(inChannels > 0, "in_chans", inChannels, "1 or more");
        require(classes > 0, "num_classes", classes, "1 or more");
        require(!depths.isEmpty() && depths.stream().allMatch(depth -> depth > 0 && depth <= MOST_BLOCKS), "depths",
                depths, "a number from 1 to " + MOST_BLOCKS + " for each stage");
        require(depths.size() <= MOST_STAGES, "depths", depths, "at most " + MOST_STAGES + " numbers");
        require(dims.size() == depths.size() && dims.stream().allMatch(dim -> dim > 0), "dims", dims,
                "one positive width for each of the " + depths.size() + " stages");
        require(stateSize > 0, "ssm_d_state", stateSize, "1 or more");
        require(makesWidths(ssmRatio, dims), "ssm_ratio", ssmRatio, WIDTHS);
        require(mlpRatio == 0 || makesWidths(mlpRatio, dims), "mlp_ratio", mlpRatio, "0, or " + WIDTHS);
        require(attentionAfter.stream().allMatch(stage -> stage >= 0 && stage < stages), "attention_after",
                attentionAfter, "numbers of stages, 0 to " + (stages - 1));
        require(isRate(dropPath), "drop_path_rate", dropPath, "in [0, 1)");
        require(isRate(ssmDropout), "ssm_drop_rate", ssmDropout, "in [0, 1)");
        require(isRate(mlpDropout), "mlp_drop_rate", mlpDropout, "in [0, 1)");
        require(input == InputKind.IMAGE || inChannels == 1, "in_chans", inChannels, "1 for a spectrogram");
        require(head == HeadKind.LINEAR || depths.size() <= 5, "depths", depths,
                "at most 5 stages for the token-semantic head");
    }

    /** A configuration without self-attention, as all published models are. */
    public ModelConfig(InputKind input, int inChannels, int classes, List<Integer> dims, List<Integer> depths,
            int stateSize, double ssmRatio, ScanForm scanForm, boolean convBias, double mlpRatio,
            PatchEmbedding patchEmbedding, Downsampling downsampling, Normalization normalization, HeadKind head,
            double dropPath, double ssmDropout, double mlpDropout) {
        this(input, inChannels, classes, dims, depths, stateSize, ssmRatio, scanForm, convBias, mlpRatio,
                patchEmbedding, downsampling, normalization, head, dropPath, ssmDropout, mlpDropout, List.of());
    }

    private static void require(boolean fits, String name, Object value, String right) {
        if (!fits) {
            throw new ConfigurationException("The model's " + name + " is " + value + " but must be " + right + ".");
        }
    }

    /** Whether {@code ratio} times each of {@code dims}, rounded down, is a width. */
    private static boolean makesWidths(double ratio, List<Integer> dims) {
        return dims.stream().allMatch(dim -> ratio * dim >= 1 && ratio * dim <= Integer.MAX_VALUE);
    }

    private static boolean isRate(double rate) {
        return rate >= 0 && rate < 1;
    }

    /** Widths of {@code stages} stages that begin with {@code first} and double each time. */
    public static List<Integer> doubling(int first, int stages) {
        return IntStream.range(0, stages).mapToObj(stage -> first << stage).toList();
    }

    /** Width of the tokens in {@code stage}. */
    public int width(int stage) {
        return dims.get(stage);
    }

    /** Width of the tokens that the head reads. */
    public int lastWidth() {
        return dims.getLast();
    }

    /** This configuration with other numbers of input channels and classes. */
    public ModelConfig sized(int newInChannels, int newClasses) {
        return new ModelConfig(input, newInChannels, newClasses, dims, depths, stateSize, ssmRatio, scanForm,
                convBias, mlpRatio, patchEmbedding, downsampling, normalization, head, dropPath, ssmDropout,
                mlpDropout, attentionAfter);
    }

    /** This configuration with another rate of drop path, in [0, 1). */
    public ModelConfig withDropPath(double rate) {
        return new ModelConfig(input, inChannels, classes, dims, depths, stateSize, ssmRatio, scanForm, convBias,
                mlpRatio, patchEmbedding, downsampling, normalization, head, rate, ssmDropout, mlpDropout,
                attentionAfter);
    }

    /** This configuration with blocks of self-attention after other stages. */
    public ModelConfig withAttentionAfter(List<Integer> stages) {
        return new ModelConfig(input, inChannels, classes, dims, depths, stateSize, ssmRatio, scanForm, convBias,
                mlpRatio, patchEmbedding, downsampling, normalization, head, dropPath, ssmDropout, mlpDropout, stages);
    }

    /**
     * This configuration for sounds: behind HTS-AT's front end, or behind the filter bank if it was made for one, as
     * DASS is.
     *
     * @param foldedHead the head where the spectrogram is folded; what reads a filter bank has a linear one
     */
    public ModelConfig forSound(int newClasses, HeadKind foldedHead) {
        return input == InputKind.FILTER_BANK
                ? forAudio(input, newClasses, HeadKind.LINEAR)
                : forAudio(InputKind.FOLDED_LOG_MEL, newClasses, foldedHead);
    }

    /** This configuration for spectrograms, with {@code newClasses} classes. */
    public ModelConfig forAudio(InputKind newInput, int newClasses, HeadKind newHead) {
        return new ModelConfig(newInput, 1, newClasses, dims, depths, stateSize, ssmRatio, scanForm, convBias,
                mlpRatio, patchEmbedding, downsampling, normalization, newHead, dropPath, ssmDropout, mlpDropout,
                attentionAfter);
    }
}

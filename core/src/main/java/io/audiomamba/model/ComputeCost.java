package io.audiomamba.model;

import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.Normalization;
import io.audiomamba.model.ModelConfig.PatchEmbedding;

/**
 * The arithmetic of one forward pass, counted as VMamba's authors count their published GFLOPs: one for each
 * multiply-add of a convolution or product, 5 for each normalised value (2 in a batch normalisation), 9 N + 1 for each
 * value that is scanned in one direction; activations and sums are free.
 */
public final class ComputeCost {

    private final ModelConfig config;
    private long operations;

    private ComputeCost(ModelConfig config) {
        this.config = config;
    }

    /**
     * Operations for one window of sound, about 10 s.
     *
     * @throws IllegalArgumentException for a model of images
     */
    public static long ofWindow(ModelConfig config) {
        return switch (config.input()) {
            case FOLDED_LOG_MEL -> operations(config, 256, 256);
            case LOG_MEL -> operations(config, 64, 1001);
            case FILTER_BANK -> operations(config, 128, 1024);
            case IMAGE -> throw new IllegalArgumentException("a model of images hears nothing");
        };
    }

    /** Operations for one image of {@code height} x {@code width}. */
    public static long operations(ModelConfig config, long height, long width) {
        ComputeCost cost = new ComputeCost(config);
        cost.count(height, width);
        return cost.operations;
    }

    private void count(long height, long width) {
        long first = config.width(0);
        long rows;
        long columns;
        if (config.patchEmbedding() == PatchEmbedding.V1) {
            rows = height / 4;
            columns = width / 4;
            operations += rows * columns * first * config.inChannels() * 16;
        } else {
            rows = half(height);
            columns = half(width);
            operations += rows * columns * (first / 2) * config.inChannels() * 9;
            norm(rows * columns, first / 2);
            rows = half(rows);
            columns = half(columns);
            operations += rows * columns * first * (first / 2) * 9;
        }
        norm(rows * columns, first);
        for (int stage = 0; stage < config.depths().size(); stage++) {
            long tokens = rows * columns;
            for (int block = 0; block < config.depths().get(stage); block++) {
                block(tokens, config.width(stage));
            }
            if (config.attentionAfter().contains(stage)) {
                attention(tokens, config.width(stage));
            }
            if (stage < config.depths().size() - 1) {
                boolean floors = config.downsampling() == ModelConfig.Downsampling.V2;
                rows = floors ? rows / 2 : half(rows);
                columns = floors ? columns / 2 : half(columns);
                downsample(rows * columns, config.width(stage), config.width(stage + 1));
            }
        }
        head(rows * columns);
    }

    private static long half(long length) {
        return (length + 1) / 2;
    }

    private void norm(long tokens, long channels) {
        operations += tokens * channels * (config.normalization() == Normalization.BN ? 2 : 5);
    }

    private void block(long tokens, long channels) {
        long inner = (long) (config.ssmRatio() * channels);
        long scanned = 4 * tokens * inner;
        long state = config.stateSize();
        long rank = (channels + 15) / 16;
        norm(tokens, channels);
        operations += tokens * channels * inner * (config.scanForm().gated() ? 2 : 1);
        operations += tokens * inner * 9;
        operations += scanned * (rank + 2 * state);
        operations += scanned * rank;
        operations += scanned * (9 * state + 1);
        operations += tokens * inner * 5;
        operations += tokens * inner * channels;
        if (config.mlpRatio() > 0) {
            norm(tokens, channels);
            operations += 2 * tokens * channels * (long) (config.mlpRatio() * channels);
        }
    }

    private void attention(long tokens, long channels) {
        norm(tokens, channels);
        operations += tokens * channels * channels * 4 + 2 * tokens * tokens * channels;
        norm(tokens, channels);
        operations += 2 * tokens * channels * channels * 4;
    }

    private void downsample(long tokens, long in, long out) {
        switch (config.downsampling()) {
            case V1 -> {
                norm(tokens, 4 * in);
                operations += tokens * 4 * in * out;
            }
            case V2 -> {
                operations += tokens * 4 * in * out;
                norm(tokens, out);
            }
            case V3 -> {
                operations += tokens * 9 * in * out;
                norm(tokens, out);
            }
        }
    }

    private void head(long tokens) {
        long width = config.lastWidth();
        norm(tokens, width);
        if (config.head() == HeadKind.LINEAR) {
            operations += tokens * width + width * config.classes();
        } else {
            operations += tokens * width * 3 * config.classes();
        }
    }
}

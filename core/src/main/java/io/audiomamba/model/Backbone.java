package io.audiomamba.model;

import io.audiomamba.torch.Tensors;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.random.RandomGenerator;
import org.bytedeco.pytorch.Tensor;

/** VMamba without its classifier: patch embedding, then stages of blocks with down-sampling between them. */
public final class Backbone {

    private record Stage(List<VssBlock> blocks, AttentionBlock attention, Downsample downsample) {}

    private final PatchEmbed patchEmbed;
    /** With which probability drop path leaves out each residual branch. */
    private final List<Double> dropRates = new ArrayList<>();
    private final List<Stage> stages = new ArrayList<>();

    /** @param scope where {@code patch_embed} and {@code layers} are */
    public Backbone(Parameters.Scope scope, ModelConfig config) {
        patchEmbed = PatchEmbed.of(scope.child("patch_embed"), config);
        int total = config.depths().stream().mapToInt(Integer::intValue).sum();
        int index = 0;
        for (int s = 0; s < config.depths().size(); s++) {
            Parameters.Scope layer = scope.child("layers").child("" + s);
            List<VssBlock> blocks = new ArrayList<>();
            for (int b = 0; b < config.depths().get(s); b++) {
                // Deeper blocks are dropped more often: the rate rises linearly from 0.
                double dropPath = total == 1 ? 0 : config.dropPath() * index++ / (total - 1);
                VssBlock block = new VssBlock(layer.child("blocks").child("" + b), config, config.width(s),
                        dropRates.size());
                dropRates.addAll(Collections.nCopies(block.branches(), dropPath));
                blocks.add(block);
            }
            AttentionBlock attention = null;
            if (config.attentionAfter().contains(s)) {
                attention = new AttentionBlock(layer.child("attention"), config, config.width(s), dropRates.size());
                dropRates.addAll(Collections.nCopies(AttentionBlock.BRANCHES, config.dropPath()));
            }
            boolean last = s == config.depths().size() - 1;
            stages.add(new Stage(blocks, attention,
                    last
                            ? null
                            : Downsample.of(layer.child("downsample"), config, config.width(s), config.width(s + 1))));
        }
    }

    /** See {@link AudioMamba#dropPath}. */
    Tensor dropPath(int batch, RandomGenerator random) {
        float[] scales = new float[dropRates.size() * batch];
        for (int i = 0; i < scales.length; i++) {
            double rate = dropRates.get(i / batch);
            scales[i] = random.nextDouble() < rate ? 0 : (float) (1 / (1 - rate));
        }
        return Tensors.of(scales, dropRates.size(), batch);
    }

    /**
     * @param image (B, channels, H, W)
     * @return tokens, (B, about H / 32, about W / 32, last width) for four stages
     */
    public Tensor forward(Tensor image, Pass pass) {
        Tensor x = Tensors.scoped(() -> patchEmbed.forward(image.permute(0, 2, 3, 1), pass));
        pass.show("patch_embed", x);
        for (int s = 0; s < stages.size(); s++) {
            x = forward(stages.get(s), x, pass.within("stage" + s));
        }
        return x;
    }

    private static Tensor forward(Stage stage, Tensor tokens, Pass pass) {
        Tensor x = tokens;
        for (int b = 0; b < stage.blocks().size(); b++) {
            x = stage.blocks().get(b).forward(x, pass.within("block" + b));
            pass.show("block" + b, x);
        }
        if (stage.attention() != null) {
            x = stage.attention().forward(x, pass);
            pass.show("attention", x);
        }
        pass.show("blocks", x);
        if (stage.downsample() != null) {
            Tensor last = x;
            x = Tensors.scoped(() -> stage.downsample().forward(last, pass));
        }
        return pass.show("out", x);
    }
}

package io.audiomamba.model;

import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * A Transformer block (Vaswani et al. 2017, normalised first): self-attention among all tokens of the grid, and a
 * feed-forward network, both residual. Its time grows with the square of the tokens.
 */
final class AttentionBlock {

    static final int BRANCHES = 2;
    private static final int HEAD_WIDTH = 32;
    private static final int MLP_RATIO = 4;

    private final int heads;
    private final Norm norm;
    private final Linear qkv;
    private final Linear proj;
    private final Norm norm2;
    private final Mlp mlp;
    private final int firstBranch;

    /** @param firstBranch number of the first of its {@value #BRANCHES} residual branches in the model */
    AttentionBlock(Parameters.Scope scope, ModelConfig config, int channels, int firstBranch) {
        this.firstBranch = firstBranch;
        heads = channels % HEAD_WIDTH == 0 ? channels / HEAD_WIDTH : 1;
        norm = new Norm.Layer(scope.child("norm"), channels);
        qkv = new Linear(scope.child("qkv"), channels, 3L * channels, true);
        proj = new Linear(scope.child("proj"), channels, channels, true);
        norm2 = new Norm.Layer(scope.child("norm2"), channels);
        mlp = new Mlp(scope.child("mlp"), channels, (long) MLP_RATIO * channels, config.mlpDropout());
    }

    /** (B, H, W, C) to (B, H, W, C). */
    Tensor forward(Tensor x, Pass pass) {
        Tensor mixed = Tensors
                .scoped(() -> Dropout.residual(x, attention(norm.forward(x, pass)), firstBranch, pass));
        return Tensors.scoped(
                () -> Dropout.residual(mixed, mlp.forward(norm2.input(mixed, pass), pass), firstBranch + 1, pass));
    }

    private Tensor attention(Tensor x) {
        long channels = x.size(3);
        // (3, B, heads, H W, width of a head)
        Tensor split = qkv.forward(x.flatten(1, 2)).unflatten(2, 3, heads, channels / heads).permute(2, 0, 3, 1, 4);
        Tensor heard = torch.scaled_dot_product_attention(split.select(0, 0), split.select(0, 1), split.select(0, 2),
                new TensorOptional(), 0.0, false, new DoubleOptional(), false);
        return proj.forward(heard.transpose(1, 2).reshape(Tensors.shape(x)));
    }
}

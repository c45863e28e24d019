package io.audiomamba.model;

import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.Tensor;

/** A block of VMamba: the token mixer and, where the variant has one, a feed-forward network, both residual. */
final class VssBlock {

    private final Norm norm;
    private final Ss2d op;
    private final Norm norm2;
    private final Mlp mlp;
    private final int firstBranch;

    /** @param firstBranch number of the first of its {@linkplain #branches residual branches} in the model */
    VssBlock(Parameters.Scope scope, ModelConfig config, long channels, int firstBranch) {
        this.firstBranch = firstBranch;
        norm = Norm.of(config.normalization(), scope.child("norm"), channels);
        op = new Ss2d(scope.child("op"), config, channels);
        boolean feedForward = config.mlpRatio() > 0;
        norm2 = feedForward ? Norm.of(config.normalization(), scope.child("norm2"), channels) : null;
        mlp = feedForward
                ? new Mlp(scope.child("mlp"), channels, (long) (config.mlpRatio() * channels), config.mlpDropout())
                : null;
    }

    /** How many residual branches it has. */
    int branches() {
        return mlp == null ? 1 : 2;
    }

    /** (B, H, W, C) to (B, H, W, C). */
    Tensor forward(Tensor x, Pass pass) {
        Tensor mixed = Tensors.scoped(
                () -> Dropout.residual(x, op.forward(norm.input(x, pass), pass.within("op")), firstBranch, pass));
        return mlp == null
                ? mixed
                : Tensors.scoped(
                        () -> Dropout.residual(mixed, mlp.forward(norm2.input(mixed, pass), pass), firstBranch + 1,
                                pass));
    }
}

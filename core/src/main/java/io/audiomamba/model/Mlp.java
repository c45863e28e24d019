package io.audiomamba.model;

import io.audiomamba.fused.Input;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** The feed-forward network of a block: linear, GELU, linear, each followed by dropout. */
final class Mlp {

    private final Linear fc1;
    private final Linear fc2;
    private final double dropout;

    Mlp(Parameters.Scope scope, long channels, long hidden, double dropout) {
        this.fc1 = new Linear(scope.child("fc1"), channels, hidden, true);
        this.fc2 = new Linear(scope.child("fc2"), hidden, channels, true);
        this.dropout = dropout;
    }

    /** (..., C) to (..., C). */
    Tensor forward(Input x, Pass pass) {
        if (dropout == 0 || !pass.training()) {
            return Linear.forward(fc1, fc2, x);
        }
        Tensor hidden = fc1.forward(x);
        return Dropout.values(fc2.forward(Dropout.values(torch.gelu(hidden), dropout, pass)), dropout, pass);
    }
}

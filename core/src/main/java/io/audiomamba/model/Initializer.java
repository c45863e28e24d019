package io.audiomamba.model;

import org.bytedeco.pytorch.Generator;
import org.bytedeco.pytorch.GeneratorOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** How a new parameter is filled, as VMamba's official code does it. */
@FunctionalInterface
public interface Initializer {

    /** The range of the initial step size dt (Gu and Dao 2023, section 3.6). */
    double DT_MIN = 0.001;
    /** See {@link #DT_MIN}. */
    double DT_MAX = 0.1;

    /** Overwrites {@code tensor}, a float32 CPU tensor, drawing what is random from {@code generator}. */
    void fill(Tensor tensor, Generator generator);

    Initializer ZEROS = (tensor, generator) -> tensor.zero_();

    Initializer ONES = (tensor, generator) -> tensor.fill_(new Scalar(1.0));

    /**
     * A normal distribution with deviation 0.02. VMamba truncates it at +-2, a hundred deviations away, which changes
     * nothing.
     */
    Initializer NORMAL = (tensor, generator) -> tensor.normal_(0, 0.02, new GeneratorOptional(generator));

    /** Uniform in +-1/sqrt(fanIn): LibTorch's own default for linear layers and convolutions. */
    static Initializer uniform(long fanIn) {
        double bound = 1 / Math.sqrt(fanIn);
        return (tensor, generator) -> tensor.uniform_(-bound, bound, new GeneratorOptional(generator));
    }

    /** The bias of the step size: softplus(b) is log-uniform in [{@link #DT_MIN}, {@link #DT_MAX}]. */
    Initializer DT_BIAS = (tensor, generator) -> {
        tensor.uniform_(Math.log(DT_MIN), Math.log(DT_MAX), new GeneratorOptional(generator));
        Tensor dt = tensor.exp().clamp(new ScalarOptional(new Scalar(1e-4)));
        // The inverse of softplus: x = dt + log(1 - exp(-dt)).
        tensor.copy_(dt.add(dt.neg().expm1().neg().log()));
    };

    /** log(1), ..., log(N) along the state dimension, the last one (S4D-Real, Gu et al. 2022). */
    Initializer A_LOGS = (tensor, generator) -> {
        Tensor states = torch.arange(new Scalar(1), new Scalar(tensor.size(1) + 1)).to(ScalarType.Float);
        tensor.copy_(states.log().expand_as(tensor));
    };
}

package io.audiomamba.model;

import io.audiomamba.fused.DepthwiseSilu;
import io.audiomamba.fused.Im2colConvolution;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** A 2-D convolution on channels-last tokens. */
final class Conv2d {

    /**
     * What a convolution does to the grid.
     *
     * @param kernel  height and width of the window
     * @param stride  step of the window
     * @param padding rows and columns of zeros on each side
     */
    record Window(long kernel, long stride, long padding) {}

    private final Tensor weight;
    private final Tensor bias;
    private final Window window;
    private final long groups;

    /** A convolution over all input channels. */
    Conv2d(Parameters.Scope scope, long in, long out, Window window) {
        this(scope, in, out, window, 1, true);
    }

    private Conv2d(Parameters.Scope scope, long in, long out, Window window, long groups, boolean biased) {
        long k = window.kernel();
        Initializer uniform = Initializer.uniform(in / groups * k * k);
        this.weight = scope.parameter("weight", uniform, out, in / groups, k, k);
        this.bias = biased ? scope.parameter("bias", uniform, out) : null;
        this.window = window;
        this.groups = groups;
    }

    /** A convolution of each channel with itself that keeps the grid's size. */
    static Conv2d depthwise(Parameters.Scope scope, long channels, long kernel, boolean biased) {
        return new Conv2d(scope, channels, channels, new Window(kernel, 1, (kernel - 1) / 2), channels, biased);
    }

    /** SiLU of what {@link #forward} gives, for a depthwise convolution. */
    Tensor forwardSilu(Tensor x, Pass pass) {
        if (!DepthwiseSilu.supports(x)) {
            return torch.silu(pass.show("conv_out", forward(x)));
        }
        if (pass.isWatched()) {
            pass.show("conv_out", forward(x));
        }
        return DepthwiseSilu.apply(x, weight, bias);
    }

    /** (B, H, W, in) to (B, H', W', out), contiguous. */
    Tensor forward(Tensor x) {
        return forward(x, bias);
    }

    /** (B, H, W, in) to (B, H', W', out), normalised. */
    Tensor forward(Tensor x, Norm norm, Pass pass) {
        // On a GPU LibTorch adds the bias in a pass of its own.
        return x.is_cuda() && !isFewChannels(x)
                ? norm.forward(forward(x, null), bias, pass)
                : norm.forward(forward(x), pass);
    }

    private boolean isFewChannels(Tensor x) {
        return groups == 1 && Im2colConvolution.supports(x);
    }

    private Tensor forward(Tensor x, Tensor bias) {
        if (isFewChannels(x)) {
            return Im2colConvolution.apply(x, weight, bias, window.stride(), window.padding());
        }
        // A channels-last tensor seen as (B, C, H, W) is what LibTorch calls channels_last: no copy either way.
        Tensor y = torch.conv2d(x.permute(0, 3, 1, 2), weight,
                bias == null ? new TensorOptional() : new TensorOptional(bias),
                new long[] {window.stride(), window.stride()}, new long[] {window.padding(), window.padding()},
                new long[] {1, 1}, groups);
        return y.permute(0, 2, 3, 1).contiguous();
    }
}

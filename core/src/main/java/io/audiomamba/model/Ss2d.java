package io.audiomamba.model;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import io.audiomamba.fused.Input;
import io.audiomamba.fused.LinearProduct;
import io.audiomamba.scan.ScanInputs;
import io.audiomamba.scan.SelectiveScan2d;
import io.audiomamba.torch.Tensors;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * VMamba's token mixer (Liu et al. 2024, figure 3): linear, depthwise convolution, SiLU, the 2-D selective scan,
 * normalisation, linear; in the gated forms a second half of the first linear, through SiLU, multiplies the result.
 */
public final class Ss2d {

    private static final long CONVOLUTION = 3;

    private final ModelConfig.ScanForm form;
    private final long inner;
    private final double dropout;

    private final Tensor xProjection;
    private final Tensor aLogs;
    private final Tensor skip;
    private final Tensor dtWeight;
    private final Tensor dtBias;
    private final Norm outNorm;
    private final Linear inProjection;
    private final Conv2d convolution;
    private final Linear outProjection;

    /**
     * @param scope    where the tensors {@code x_proj_weight}, {@code A_logs}, ... are
     * @param channels width of the tokens
     */
    public Ss2d(Parameters.Scope scope, ModelConfig config, long channels) {
        long state = config.stateSize();
        long rank = (channels + 15) / 16;
        form = config.scanForm();
        inner = (long) (config.ssmRatio() * channels);
        dropout = config.ssmDropout();
        xProjection = scope.parameter("x_proj_weight", Initializer.uniform(inner), DIRECTIONS, rank + 2 * state,
                inner);
        aLogs = scope.parameter("A_logs", Initializer.A_LOGS, DIRECTIONS * inner, state);
        skip = scope.parameter("Ds", Initializer.ONES, DIRECTIONS * inner);
        dtWeight = scope.parameter("dt_projs_weight", Initializer.uniform(rank), DIRECTIONS, inner, rank);
        dtBias = scope.parameter("dt_projs_bias", Initializer.DT_BIAS, DIRECTIONS, inner);
        outNorm = new Norm.Layer(scope.child("out_norm"), inner);
        inProjection = new Linear(scope.child("in_proj"), channels, form.gated() ? 2 * inner : inner, false);
        convolution = Conv2d.depthwise(scope.child("conv2d"), inner, CONVOLUTION, config.convBias());
        outProjection = new Linear(scope.child("out_proj"), inner, channels, false);
    }

    /** (B, H, W, C) to (B, H, W, C). */
    public Tensor forward(Tensor x, Pass pass) {
        return forward(Input.of(x), pass);
    }

    Tensor forward(Input x, Pass pass) {
        Tensor projected = pass.show("in_proj_out", inProjection.forward(x));
        Tensor y = outNorm.forward(scan(form.gated() ? projected.narrow(-1, 0, inner) : projected, pass), pass);
        y = pass.show("y_norm", y);
        if (form.outputActivated()) {
            y = torch.gelu(y);
        }
        if (form.gated()) {
            Tensor z = projected.narrow(-1, inner, inner);
            y = y.mul(form.gateActivated() ? torch.silu(z) : z);
        }
        return Dropout.values(outProjection.forward(pass.show("out_proj_in", y)), dropout, pass);
    }

    private Tensor scan(Tensor x, Pass pass) {
        return Tensors.scoped(() -> {
            Tensor u = pass.show("tokens", convolution.forwardSilu(x, pass));
            // x_proj reads one token at a time: one product on the unordered tokens serves all four directions.
            Tensor projections = LinearProduct.apply(u, xProjection.flatten(0, 1), null).unflatten(-1, DIRECTIONS,
                    xProjection.size(1));
            pass.show("projections", projections);
            ScanInputs inputs = new ScanInputs(u, projections, dtWeight, dtBias, aLogs, skip);
            return pass.show("y_merged", SelectiveScan2d.apply(pass.kernel(), inputs));
        });
    }
}

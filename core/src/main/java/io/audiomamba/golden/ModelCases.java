package io.audiomamba.golden;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.Head;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.Downsampling;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.ModelConfig.Normalization;
import io.audiomamba.model.ModelConfig.PatchEmbedding;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import io.audiomamba.model.Ss2d;
import io.audiomamba.scan.ScanInputs;
import io.audiomamba.scan.TorchScan;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Models and their parts. */
final class ModelCases {

    private ModelCases() {}

    /** One token mixer, with every intermediate result. */
    static void ss2d(GoldenCase golden) {
        boolean channelFirst = golden.flag("channel_first");
        ModelConfig config = new ModelConfig(InputKind.IMAGE, 1, 1, List.of(golden.number("d_model")), List.of(1),
                golden.number("d_state"), golden.setting("ssm_ratio").asDouble(),
                new ModelConfig.ScanForm(golden.text("forward_type")), golden.flag("conv_bias"), 0, PatchEmbedding.V1,
                Downsampling.V1, channelFirst ? Normalization.LN2D : Normalization.LN, HeadKind.LINEAR, 0, 0, 0);
        try (Parameters parameters = new Parameters(d -> golden.onDevice(golden.raw("param." + d.name()).toFloats(),
                d.shape()))) {
            Ss2d op = new Ss2d(parameters.root(), config, golden.number("d_model"));
            parameters.tensors().values().forEach(p -> p.requires_grad_(true));
            Tensor input = golden.tensor("input").requires_grad_(true);
            Map<String, Tensor> shown = new HashMap<>();
            Tensor x = channelFirst ? input.permute(0, 2, 3, 1) : input;
            Tensor out = golden.run(() -> op.forward(x, new Pass(golden.kernel(), false).withTap((name, t) -> {
                t.retainReference();
                shown.put(name, t);
            })));
            shown.put("out", out);
            for (String name : List.of("in_proj_out", "y_merged", "y_norm", "out_proj_in", "out")) {
                golden.compare(name, layout(shown.get(name), channelFirst), Tolerance.MIXER);
            }
            golden.compare("conv_out", layout(shown.get("conv_out"), true), Tolerance.MIXER);
            if (golden.has("out_f64")) {
                golden.compare("out_f64", layout(out, channelFirst), Tolerance.MIXER);
            }
            compareSequences(golden, shown, parameters.tensors());
            backward(golden, layout(out, channelFirst), parameters, input, Tolerance.MIXER_GRADIENT);
        }
    }

    /** What the official code writes and the fused scan never does: from the oracle. */
    private static void compareSequences(GoldenCase golden, Map<String, Tensor> shown, Map<String, Tensor> p) {
        ScanInputs inputs = new ScanInputs(shown.get("tokens").detach().to(ScalarType.Float),
                shown.get("projections").detach().to(ScalarType.Float),
                p.get("dt_projs_weight").detach(), p.get("dt_projs_bias").detach(), p.get("A_logs").detach(),
                p.get("Ds").detach());
        TorchScan.Sequences sequences = TorchScan.Sequences.of(inputs);
        golden.compare("xs", sequences.u().transpose(2, 3), Tolerance.MIXER);
        golden.compare("dts", sequences.stepSize().transpose(2, 3), Tolerance.MIXER);
        golden.compare("Bs", sequences.b().transpose(2, 3), Tolerance.MIXER);
        golden.compare("Cs", sequences.c().transpose(2, 3), Tolerance.MIXER);
        golden.compare("A", inputs.aLogs().exp().neg(), Tolerance.MIXER);
        golden.compare("delta_bias", inputs.dtBias(), 0);
        golden.compare("ys", TorchScan.directions(inputs).transpose(2, 3), Tolerance.MIXER);
    }

    /** A whole VMamba: logits, features, gradients. */
    static void vssm(GoldenCase golden) {
        ModelConfig config = golden.variant(golden.text("variant"));
        boolean channelFirst = golden.text("layout_of_features").equals("NCHW");
        Tensor input = golden.operand("input", golden.number("batch"), config.inChannels(), golden.number("height"),
                golden.number("width"));
        try (Parameters parameters = GoldenCase.generated(golden.text("weights_salt"))) {
            AudioMamba model = new AudioMamba(config, parameters);
            parameters.to(golden.device());
            boolean gradients = golden.has("grad_out");
            if (gradients) {
                parameters.tensors().values().forEach(p -> p.requires_grad_(true));
                input.requires_grad_(true);
            }
            Head.Output output = golden.run(() -> model.forward(input,
                    new Pass(golden.kernel(), false)
                            .withTap((name, t) -> compareFeature(golden, name, t, channelFirst))));
            requireAllFeatures(golden);
            compareLogits(golden, output.clip());
            if (gradients) {
                backward(golden, output.clip(), parameters, input, Tolerance.MODEL_GRADIENT);
            }
        }
    }

    private static void compareFeature(GoldenCase golden, String name, Tensor feature, boolean channelFirst) {
        if (golden.has("feat." + name)) {
            golden.compare("feat." + name, feature.dim() == 4 ? layout(feature, channelFirst) : feature,
                    Tolerance.MODEL);
        }
        if (golden.has("mean." + name)) {
            golden.compare("mean." + name, feature.mean(1, 2), Tolerance.MODEL);
        }
        if (name.equals("pooled") && golden.has(name)) {
            golden.compare(name, feature, Tolerance.MODEL);
        }
    }

    /** A feature that the model never showed was not compared: the case is not understood. */
    private static void requireAllFeatures(GoldenCase golden) {
        for (String name : golden.names()) {
            boolean isFeature = name.startsWith("feat.") || name.startsWith("mean.");
            if (isFeature && golden.comparisons().stream().noneMatch(done -> done.quantity().startsWith(name))) {
                throw new ConfigurationException("the model has no '" + name + "'");
            }
        }
    }

    /** DASS: VMamba on a filter bank, (B, time, mel) or (time, mel). */
    static void dass(GoldenCase golden) {
        Tensor input = golden.operand("input");
        try (Parameters parameters = GoldenCase.generated(golden.text("weights_salt"))) {
            AudioMamba model = new AudioMamba(onFilterBank(golden.variant(golden.text("variant"))), parameters);
            parameters.to(golden.device());
            Head.Output output = golden.run(() -> model.forward(batched(input), new Pass(golden.kernel(), false)));
            compareLogits(golden, output.clip());
        }
    }

    /** The backbone with DASS's input and head. */
    static ModelConfig onFilterBank(ModelConfig backbone) {
        return backbone.forAudio(InputKind.FILTER_BANK, backbone.classes(), HeadKind.LINEAR);
    }

    /** (B, time, mel) or (time, mel) to (B, time, mel). */
    static Tensor batched(Tensor filterBank) {
        return filterBank.view(-1, filterBank.size(-2), filterBank.size(-1));
    }

    static void compareLogits(GoldenCase golden, Tensor logits) {
        String reference = golden.has("logits_f64") ? "logits_f64" : "logits";
        golden.compare(reference, logits, Tolerance.MODEL);
    }

    /** HTS-AT's head on given tokens. */
    static void tokenSemanticHead(GoldenCase golden) {
        Tensor features = golden.tensor("features");
        int classes = golden.number("classes");
        int width = (int) features.size(1);
        ModelConfig config = new ModelConfig(InputKind.IMAGE, 1, classes, ModelConfig.doubling(width / 8, 4),
                List.of(1, 1, 1, 1), 1, 1,
                new ModelConfig.ScanForm("v0"), false, 0, PatchEmbedding.V1, Downsampling.V1, Normalization.LN,
                HeadKind.TOKEN_SEMANTIC, 0, 0, 0);
        try (Parameters parameters = GoldenCase.generated(golden.text("weights_salt"))) {
            Head head = new Head.TokenSemantic(parameters.root(), config);
            parameters.to(golden.device());
            Head.Output output = golden.run(() -> head.forward(features.permute(0, 2, 3, 1),
                    new Pass(golden.kernel(), false).withTap((name, t) -> golden.compare(name, t, Tolerance.MODEL))));
            golden.compare("framewise_every32", output.frames().sigmoid(), Tolerance.MODEL);
            boolean multiLabel = golden.text("loss").equals("clip_bce");
            Tensor clip = multiLabel ? output.clip().sigmoid() : output.clip();
            golden.compare(golden.has("clipwise_f64") ? "clipwise_f64" : "clipwise", clip, Tolerance.MODEL);
            golden.compare("latent", output.latent(), Tolerance.MODEL);
        }
    }

    private static void backward(GoldenCase golden, Tensor out, Parameters parameters, Tensor input,
            Tolerance tolerance) {
        out.backward(golden.tensor("grad_out").to(out.scalar_type()), null, false, null);
        Map<String, Tensor> leaves = new HashMap<>(parameters.tensors());
        leaves.put("input", input);
        for (String name : golden.names()) {
            if (name.startsWith("grad.")) {
                golden.compare(name, leaves.get(name.substring("grad.".length())).grad(), tolerance);
            }
        }
    }

    /** (B, H, W, C) in the layout of the reference. */
    private static Tensor layout(Tensor tokens, boolean channelFirst) {
        return channelFirst ? tokens.permute(0, 3, 1, 2) : tokens;
    }
}

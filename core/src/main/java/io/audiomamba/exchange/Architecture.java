package io.audiomamba.exchange;

import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.ModelConfig.Downsampling;
import io.audiomamba.model.ModelConfig.HeadKind;
import io.audiomamba.model.ModelConfig.InputKind;
import io.audiomamba.model.ModelConfig.Normalization;
import io.audiomamba.model.ModelConfig.PatchEmbedding;
import io.audiomamba.model.ModelConfig.ScanForm;
import io.audiomamba.model.Variants;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Reads the architecture of a VMamba off the names and shapes of its tensors. Two things do not show in them and change
 * no shape: {@code _oact} and {@code _nozact}, activations that no published model has or lacks.
 */
final class Architecture {

    private static final int DIRECTIONS = 4;

    private final String file;
    private final Map<String, RawTensor> tensors;

    private Architecture(String file, Map<String, RawTensor> tensors) {
        this.file = file;
        this.tensors = tensors;
    }

    /**
     * The architecture, with the drop path rate of the published model if it is one.
     *
     * @param file    what to call it in errors
     * @param tensors under official names
     * @throws CheckpointException if it is no VMamba
     */
    static ModelConfig of(String file, Map<String, RawTensor> tensors) {
        try {
            ModelConfig found = new Architecture(file, tensors).read();
            return Variants.nameOf(found).map(name -> merged(found, Variants.named(name))).orElse(found);
        } catch (ConfigurationException e) {
            throw new CheckpointException(file + ": " + e.getMessage(), e);
        } catch (ArithmeticException e) {
            throw new CheckpointException(file + ": its tensors have impossible shapes.", e);
        }
    }

    /** What shows in the tensors, with the published variant's word on what does not. */
    private static ModelConfig merged(ModelConfig found, ModelConfig variant) {
        return new ModelConfig(found.input(), found.inChannels(), found.classes(), found.dims(), found.depths(),
                found.stateSize(), found.ssmRatio(), variant.scanForm(), found.convBias(), found.mlpRatio(),
                found.patchEmbedding(), found.downsampling(), variant.normalization(), found.head(),
                variant.dropPath(), 0, 0);
    }

    private ModelConfig read() {
        long[] patches = shape("patch_embed.0.weight", 4);
        List<Integer> depths = new ArrayList<>();
        List<Integer> dims = new ArrayList<>();
        while (has("layers." + depths.size() + ".blocks.0.norm.weight")) {
            int stage = depths.size();
            dims.add(Math.toIntExact(shape(block(stage, 0) + "norm.weight", 1)[0]));
            int blocks = 1;
            while (has(block(stage, blocks) + "norm.weight")) {
                blocks++;
            }
            depths.add(blocks);
        }
        if (depths.isEmpty()) {
            throw notVmamba("it has no layers.0.blocks.0.norm.weight");
        }
        String first = block(0, 0);
        long[] states = shape(first + "op.A_logs", 2);
        long inner = states[0] / DIRECTIONS;
        boolean gated = shape(first + "op.in_proj.weight", -1)[0] == 2 * inner;
        boolean feedForward = has(first + "mlp.fc1.weight");
        boolean tokenSemantic = has("tscam_conv.weight");
        long classes = shape(tokenSemantic ? "tscam_conv.weight" : "classifier.head.weight", tokenSemantic ? 4 : 2)[0];
        boolean batchNorm = has("patch_embed.2.running_mean");
        return new ModelConfig(input(patches[1]), Math.toIntExact(patches[1]), Math.toIntExact(classes), dims, depths,
                Math.toIntExact(states[1]), (double) inner / dims.getFirst(),
                new ScanForm(gated ? feedForward ? "v2" : "v0" : "v05_noz"), has(first + "op.conv2d.bias"),
                feedForward ? (double) shape(first + "mlp.fc1.weight", -1)[0] / dims.getFirst() : 0,
                has("patch_embed.5.weight") ? PatchEmbedding.V2 : PatchEmbedding.V1, downsampling(),
                batchNorm ? Normalization.BN : Normalization.LN,
                tokenSemantic ? HeadKind.TOKEN_SEMANTIC : HeadKind.LINEAR, 0, 0, 0);
    }

    private InputKind input(long channels) {
        if (channels != 1) {
            return InputKind.IMAGE;
        }
        if (!has("bn0.weight")) {
            return InputKind.FILTER_BANK;
        }
        return has("tscam_conv.weight") ? InputKind.FOLDED_LOG_MEL : InputKind.LOG_MEL;
    }

    private Downsampling downsampling() {
        String prefix = "layers.0.downsample.";
        if (has(prefix + "reduction.weight")) {
            return Downsampling.V1;
        }
        boolean two = has(prefix + "1.weight") && shape(prefix + "1.weight", 4)[3] == 2;
        return two ? Downsampling.V2 : Downsampling.V3;
    }

    private static String block(int stage, int block) {
        return "layers." + stage + ".blocks." + block + ".";
    }

    private boolean has(String name) {
        return tensors.containsKey(name);
    }

    /** @param rank that the tensor must have; -1 for any */
    private long[] shape(String name, int rank) {
        RawTensor tensor = tensors.get(name);
        if (tensor == null) {
            throw notVmamba("it has no " + name);
        }
        long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
        if (rank == -1 ? shape.length == 0 : shape.length != rank) {
            throw notVmamba("its " + name + " is " + tensor.shape());
        }
        return shape;
    }

    private CheckpointException notVmamba(String reason) {
        String holds = tensors.keySet().stream().limit(3).reduce((a, b) -> a + ", " + b).orElse("no tensor");
        return new CheckpointException(file + ": holds no VMamba that this project knows: " + reason
                + " (it begins with " + holds + ").");
    }
}

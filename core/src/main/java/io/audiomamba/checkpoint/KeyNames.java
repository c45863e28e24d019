package io.audiomamba.checkpoint;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The names under which public checkpoints hold a model's tensors, and the official ones: those of VMamba's current
 * state_dict, with HTS-AT's for its head.
 */
public final class KeyNames {

    private static final int DIRECTIONS = 4;
    /** What wraps the names of a whole model: DistributedDataParallel, DASS, a compiled module. */
    private static final List<String> PREFIXES = List.of("module.", "_orig_mod.", "v.");

    private record Rule(Pattern from, String to) {
        static Rule of(String from, String to) {
            return new Rule(Pattern.compile(from), to);
        }
    }

    /** VMamba's first release, which the official code renames on loading too. */
    private static final List<Rule> FIRST_RELEASE = List.of(Rule.of("^patch_embed\\.proj\\.", "patch_embed.0."),
            Rule.of("^patch_embed\\.norm\\.", "patch_embed.2."), Rule.of("(blocks\\.\\d+\\.)ln_1\\.", "$1norm."),
            Rule.of("(blocks\\.\\d+\\.)ln_2\\.", "$1norm2."),
            Rule.of("(blocks\\.\\d+\\.)self_attention\\.", "$1op."), Rule.of("^norm\\.", "classifier.norm."),
            Rule.of("^head\\.", "classifier.head."));

    /** DASS in Hugging Face's library. */
    private static final List<Rule> HUGGING_FACE = List.of(
            Rule.of("^dass\\.patch_embeddings\\.projection\\.0\\.", "patch_embed.0."),
            Rule.of("^dass\\.patch_embeddings\\.projection\\.1\\.", "patch_embed.2."),
            Rule.of("^dass\\.patch_embeddings\\.projection\\.3\\.", "patch_embed.5."),
            Rule.of("^dass\\.patch_embeddings\\.projection\\.4\\.", "patch_embed.7."),
            Rule.of("^dass\\.(layers\\.\\d+\\.downsample\\.)down\\.", "$11."),
            Rule.of("^dass\\.(layers\\.\\d+\\.downsample\\.)norm\\.", "$13."),
            Rule.of("^dass\\.(layers\\..*\\.op\\.(?:x_proj|dt_projs))\\.weight$", "$1_weight"),
            Rule.of("^dass\\.layers\\.", "layers."),
            Rule.of("^dass\\.norm\\.", "classifier.norm."), Rule.of("^head\\.", "classifier.head."));

    private KeyNames() {}

    /**
     * The same tensors under official names and in official shapes, in the order given. Names that no rule knows stay
     * as they are.
     */
    public static Map<String, RawTensor> official(Map<String, RawTensor> tensors) {
        Map<String, RawTensor> unwrapped = unwrap(tensors);
        boolean huggingFace = unwrapped.keySet().stream().anyMatch(name -> name.startsWith("dass."));
        boolean ownHead = unwrapped.containsKey("tscam_conv.weight");
        List<Rule> rules = new ArrayList<>();
        if (huggingFace) {
            rules.addAll(HUGGING_FACE);
        } else if (!ownHead) {
            rules.addAll(FIRST_RELEASE);
        }
        Map<String, RawTensor> official = new LinkedHashMap<>();
        unwrapped.forEach((name, tensor) -> official.put(rename(name, rules), stacked(name, tensor)));
        return official;
    }

    private static Map<String, RawTensor> unwrap(Map<String, RawTensor> tensors) {
        Map<String, RawTensor> unwrapped = tensors;
        for (String prefix : PREFIXES) {
            if (!unwrapped.isEmpty() && unwrapped.keySet().stream().allMatch(name -> name.startsWith(prefix))) {
                Map<String, RawTensor> shorter = new LinkedHashMap<>();
                unwrapped.forEach((name, tensor) -> shorter.put(name.substring(prefix.length()), tensor));
                unwrapped = shorter;
            }
        }
        return unwrapped;
    }

    private static String rename(String name, List<Rule> rules) {
        for (Rule rule : rules) {
            Matcher matcher = rule.from().matcher(name);
            if (matcher.find()) {
                return matcher.replaceFirst(rule.to());
            }
        }
        return name;
    }

    /** Hugging Face flattens the projections of the four directions. */
    private static RawTensor stacked(String name, RawTensor tensor) {
        boolean flattened = name.matches("dass\\..*\\.op\\.(x_proj|dt_projs)\\.weight") && tensor.shape().size() == 2
                && tensor.shape().getFirst() % DIRECTIONS == 0;
        boolean bias = name.matches("dass\\..*\\.op\\.dt_projs_bias")
                && tensor.shape().size() == 1 && tensor.shape().getFirst() % DIRECTIONS == 0;
        if (flattened) {
            return tensor.reshaped(
                    List.of((long) DIRECTIONS, tensor.shape().get(0) / DIRECTIONS, tensor.shape().get(1)));
        }
        return bias ? tensor.reshaped(List.of((long) DIRECTIONS, tensor.shape().get(0) / DIRECTIONS)) : tensor;
    }
}

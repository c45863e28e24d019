package io.audiomamba.checkpoint;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The names under which public checkpoints hold a model's tensors, and the official ones: those of VMamba's current
 * state_dict, with HTS-AT's for its head.
 */
public final class KeyNames {

    private static final int DIRECTIONS = 4;
    /** What wraps the names of a whole model: DistributedDataParallel, a compiled module, DASS. */
    private static final List<String> PREFIXES = List.of("module.", "_orig_mod.", "v.");
    private static final String DASS_PREFIX = "module.v.";
    private static final Pattern STACKED = Pattern.compile("layers\\..*\\.op\\.(x_proj|dt_projs)_weight");
    private static final Pattern STACKED_BIAS = Pattern.compile("layers\\..*\\.op\\.dt_projs_bias");

    /** Two patterns of names for the same tensors, in each of which a star stands for any text. */
    private record Rule(Template foreign, Template official) {

        static Rule of(String foreign, String official) {
            return new Rule(Template.of(foreign), Template.of(official));
        }

        String toOfficial(String name) {
            return foreign.rename(name, official);
        }

        String toForeign(String name) {
            return official.rename(name, foreign);
        }
    }

    private record Template(String text, Pattern pattern) {

        static Template of(String text) {
            return new Template(text, Pattern.compile("\\Q" + text.replace("*", "\\E(.*)\\Q") + "\\E"));
        }

        /** {@code name} in the form of {@code other}, or null if it does not have this form. */
        String rename(String name, Template other) {
            Matcher matcher = pattern.matcher(name);
            if (!matcher.matches()) {
                return null;
            }
            String renamed = other.text;
            for (int star = 1; star <= matcher.groupCount(); star++) {
                renamed = renamed.replaceFirst("\\*", Matcher.quoteReplacement(matcher.group(star)));
            }
            return renamed;
        }
    }

    /** VMamba's first release, which the official code renames on loading too. */
    private static final List<Rule> FIRST_RELEASE = List.of(Rule.of("patch_embed.proj.*", "patch_embed.0.*"),
            Rule.of("patch_embed.norm.*", "patch_embed.2.*"),
            Rule.of("layers.*.blocks.*.ln_1.*", "layers.*.blocks.*.norm.*"),
            Rule.of("layers.*.blocks.*.ln_2.*", "layers.*.blocks.*.norm2.*"),
            Rule.of("layers.*.blocks.*.self_attention.*", "layers.*.blocks.*.op.*"),
            Rule.of("norm.*", "classifier.norm.*"), Rule.of("head.*", "classifier.head.*"));

    /** DASS in Hugging Face's library. */
    private static final List<Rule> HUGGING_FACE = List.of(
            Rule.of("dass.patch_embeddings.projection.0.*", "patch_embed.0.*"),
            Rule.of("dass.patch_embeddings.projection.1.*", "patch_embed.2.*"),
            Rule.of("dass.patch_embeddings.projection.3.*", "patch_embed.5.*"),
            Rule.of("dass.patch_embeddings.projection.4.*", "patch_embed.7.*"),
            Rule.of("dass.layers.*.downsample.down.*", "layers.*.downsample.1.*"),
            Rule.of("dass.layers.*.downsample.norm.*", "layers.*.downsample.3.*"),
            Rule.of("dass.layers.*.op.x_proj.weight", "layers.*.op.x_proj_weight"),
            Rule.of("dass.layers.*.op.dt_projs.weight", "layers.*.op.dt_projs_weight"),
            Rule.of("dass.layers.*", "layers.*"), Rule.of("dass.norm.*", "classifier.norm.*"),
            Rule.of("head.*", "classifier.head.*"));

    private KeyNames() {}

    /**
     * The same tensors under official names and in official shapes, in the order given. Names that no rule knows stay
     * as they are.
     */
    public static Map<String, RawTensor> official(Map<String, RawTensor> tensors) {
        Map<String, RawTensor> unwrapped = unwrap(tensors);
        boolean huggingFace = unwrapped.keySet().stream().anyMatch(name -> name.startsWith("dass."));
        boolean ownHead = unwrapped.containsKey("tscam_conv.weight");
        List<Rule> rules = huggingFace ? HUGGING_FACE : ownHead ? List.of() : FIRST_RELEASE;
        Map<String, RawTensor> official = new LinkedHashMap<>();
        unwrapped.forEach((name, tensor) -> {
            String renamed = renamed(name, rules, Rule::toOfficial);
            official.put(renamed, huggingFace ? stacked(renamed, tensor) : tensor);
        });
        return official;
    }

    /**
     * The same tensors under the names and in the shapes that {@code naming} has for them.
     *
     * @param official as {@link #official} gives them
     */
    public static Map<String, RawTensor> foreign(Map<String, RawTensor> official, Naming naming) {
        Map<String, RawTensor> foreign = new LinkedHashMap<>();
        official.forEach((name, tensor) -> {
            switch (naming) {
                case VMAMBA -> foreign.put(name, tensor);
                case DASS -> foreign.put(DASS_PREFIX + name, tensor);
                case HUGGING_FACE -> foreign.put(renamed(name, HUGGING_FACE, Rule::toForeign),
                        STACKED.matcher(name).matches() ? flattened(tensor) : tensor);
            }
        });
        return foreign;
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

    private static String renamed(String name, List<Rule> rules, BiFunction<Rule, String, String> direction) {
        for (Rule rule : rules) {
            String renamed = direction.apply(rule, name);
            if (renamed != null) {
                return renamed;
            }
        }
        return name;
    }

    /** Hugging Face flattens the projections of the four directions: (4 R, D) is (4, R, D). */
    private static RawTensor stacked(String officialName, RawTensor tensor) {
        int flatRank = STACKED.matcher(officialName).matches()
                ? 2
                : STACKED_BIAS.matcher(officialName).matches() ? 1 : -1;
        if (tensor.shape().size() != flatRank || tensor.shape().getFirst() % DIRECTIONS != 0) {
            return tensor;
        }
        List<Long> shape = new ArrayList<>(tensor.shape());
        shape.set(0, tensor.shape().getFirst() / DIRECTIONS);
        shape.addFirst((long) DIRECTIONS);
        return tensor.reshaped(shape);
    }

    private static RawTensor flattened(RawTensor tensor) {
        List<Long> shape = new ArrayList<>(tensor.shape());
        long directions = shape.removeFirst();
        shape.set(0, directions * shape.getFirst());
        return tensor.reshaped(shape);
    }
}

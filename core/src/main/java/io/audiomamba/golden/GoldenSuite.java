package io.audiomamba.golden;

import io.audiomamba.error.AudioMambaException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.ParseProblem;
import io.audiomamba.scan.ScanKernel;
import io.audiomamba.torch.GradientTape;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/** A folder of reference outputs of the official PyTorch code, and how this project compares with each of them. */
public final class GoldenSuite {

    /** What checks a kind of case, in any precision. */
    private static final Map<String, Consumer<GoldenCase>> MIXED = Map.of("selective_scan", ScanCases::selectiveScan,
            "ss2d", ModelCases::ss2d, "vssm", ModelCases::vssm, "dass_model", ModelCases::dass, "token_semantic_head",
            ModelCases::tokenSemanticHead, "dass_checkpoint", CheckpointCases::dass);

    /** The same for what never has 16 bits: front ends compute in float64, and files and orders are copied. */
    private static final Map<String, Consumer<GoldenCase>> SINGLE = Map.of("cross_scan_merge",
            ScanCases::crossScanMerge, "htsat_filters", FrontEndCases::htsatFilters, "htsat_front_end",
            FrontEndCases::htsatFrontEnd, "kaldi_mel_banks", FrontEndCases::kaldiMelBanks, "kaldi_fbank",
            FrontEndCases::kaldiFbank, "pth", CheckpointCases::pth);

    private final Path folder;
    private final JsonNode index;

    /**
     * @param folder holds {@code index.json} and the files that it lists
     * @throws ConfigurationException if it does not, or if none of them is a case
     */
    public GoldenSuite(Path folder) {
        this.folder = folder;
        Path file = folder.resolve("index.json");
        if (!Files.isRegularFile(file)) {
            throw new ConfigurationException(folder + ": holds no index.json, so these are no golden vectors.");
        }
        try {
            index = new ObjectMapper().readTree(file.toFile());
        } catch (JacksonException e) {
            throw new ConfigurationException(file + ": is not JSON: " + ParseProblem.of(e) + ".", e);
        }
        if (cases().isEmpty()) {
            throw new ConfigurationException(file + ": lists no case.");
        }
    }

    /**
     * What became of a case.
     *
     * @param file        its name in the folder
     * @param precision   what it was computed in
     * @param comparisons every quantity that was compared
     * @param failure     why it could not be run to its end, or null
     */
    public record Outcome(String file, Precision precision, List<Comparison> comparisons, String failure) {

        /** Whether something was compared and everything was right. */
        public boolean passes() {
            return failure == null && !comparisons.isEmpty() && comparisons.stream().allMatch(Comparison::passes);
        }

        /** The comparison that used up most of its tolerance; null if there is none. */
        public Comparison worst() {
            return comparisons.stream().max(Comparator.comparingDouble(c -> c.error() / Math.max(c.tolerance(), 1e-30)))
                    .orElse(null);
        }
    }

    /** The files of the folder that are cases. */
    public List<String> cases() {
        return index.valueStream().filter(entry -> entry.has("run")).map(entry -> entry.get("file").asString())
                .toList();
    }

    /**
     * Runs one of {@link #cases()}.
     *
     * @param wanted what to compute in; a case that makes no sense in 16 bits is computed in float32
     */
    public Outcome run(String file, ScanKernel kernel, Device device, Precision wanted) {
        JsonNode run = index.valueStream().filter(entry -> entry.get("file").asString().equals(file)).findFirst()
                .orElseThrow().get("run");
        String kind = run.path("kind").asString("");
        Precision precision = MIXED.containsKey(kind) ? wanted : Precision.FP32;
        Consumer<GoldenCase> check = MIXED.getOrDefault(kind, SINGLE.get(kind));
        if (check == null) {
            return new Outcome(file, precision, List.of(), "there is no check for a case of kind '" + kind + "'");
        }
        try (var _ = new GradientTape();
                var _ = new PointerScope();
                GoldenCase golden = new GoldenCase(folder, file, run, kernel, device, precision)) {
            String failure = null;
            try {
                check.accept(golden);
            } catch (RuntimeException e) { // LibTorch's own complaints among them
                failure = String.valueOf(e.getMessage()).lines().filter(line -> !line.isBlank()).findFirst()
                        .orElse(e.toString());
            }
            return new Outcome(file, precision, golden.comparisons(), failure);
        } catch (AudioMambaException e) {
            return new Outcome(file, precision, List.of(), e.getMessage());
        }
    }
}

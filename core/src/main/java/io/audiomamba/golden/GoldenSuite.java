package io.audiomamba.golden;

import io.audiomamba.error.AudioMambaException;
import io.audiomamba.error.ConfigurationException;
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

    /** What checks a kind of case. */
    private static final Map<String, Consumer<GoldenCase>> KINDS = Map.ofEntries(
            Map.entry("selective_scan", ScanCases::selectiveScan),
            Map.entry("cross_scan_merge", ScanCases::crossScanMerge), Map.entry("ss2d", ModelCases::ss2d),
            Map.entry("vssm", ModelCases::vssm), Map.entry("dass_model", ModelCases::dass),
            Map.entry("token_semantic_head", ModelCases::tokenSemanticHead),
            Map.entry("htsat_filters", FrontEndCases::htsatFilters),
            Map.entry("htsat_front_end", FrontEndCases::htsatFrontEnd),
            Map.entry("kaldi_mel_banks", FrontEndCases::kaldiMelBanks),
            Map.entry("kaldi_fbank", FrontEndCases::kaldiFbank), Map.entry("pth", CheckpointCases::pth),
            Map.entry("dass_checkpoint", CheckpointCases::dass));

    private final Path folder;
    private final JsonNode index;

    /**
     * @param folder holds {@code index.json} and the files that it lists
     * @throws ConfigurationException if it does not
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
            throw new ConfigurationException(file + ": is not JSON: " + e.getOriginalMessage(), e);
        }
    }

    /**
     * What became of a case.
     *
     * @param file        its name in the folder
     * @param comparisons every quantity that was compared
     * @param failure     why it could not be run to its end, or null
     */
    public record Outcome(String file, List<Comparison> comparisons, String failure) {

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

    /** Runs one of {@link #cases()}. */
    public Outcome run(String file, ScanKernel kernel, Device device) {
        JsonNode run = index.valueStream().filter(entry -> entry.get("file").asString().equals(file)).findFirst()
                .orElseThrow().get("run");
        String kind = run.path("kind").asString("");
        Consumer<GoldenCase> check = KINDS.get(kind);
        if (check == null) {
            return new Outcome(file, List.of(), "there is no check for a case of kind '" + kind + "'");
        }
        try (var _ = new GradientTape();
                var _ = new PointerScope();
                GoldenCase golden = new GoldenCase(folder, file, run, kernel, device)) {
            String failure = null;
            try {
                check.accept(golden);
            } catch (RuntimeException e) { // LibTorch's own complaints among them
                failure = String.valueOf(e.getMessage()).lines().filter(line -> !line.isBlank()).findFirst()
                        .orElse(e.toString());
            }
            return new Outcome(file, golden.comparisons(), failure);
        } catch (AudioMambaException e) {
            return new Outcome(file, List.of(), e.getMessage());
        }
    }
}

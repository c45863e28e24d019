package io.audiomamba.train;

import com.samskivert.mustache.Mustache;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.evaluation.Metrics;
import io.audiomamba.evaluation.Predictions;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** A training on one page that needs nothing else: configuration, curves, what became of each class, provenance. */
final class TrainingReport {

    /** Beyond so many classes a confusion matrix is not readable. */
    private static final int LARGEST_MATRIX = 60;

    private record Entry(String name, String value) {}

    private record ClassRow(String label, int clips, String averagePrecision, String areaUnderCurve) {}

    private record Cell(int count, String style) {}

    private record MatrixRow(int number, String label, List<Cell> cells) {}

    private final Description description;
    private final int epochs;
    private final EpochFigures last;

    /**
     * @param epochs that were done
     * @param last   the last figures that are left, perhaps of an earlier epoch
     */
    TrainingReport(Description description, int epochs, EpochFigures last) {
        this.description = description;
        this.epochs = epochs;
        this.last = last;
    }

    /**
     * The page.
     *
     * @param curves     a PNG, if there is one
     * @param heldOut    what the model says of the held-out clips in the end; null if there are none
     * @param unreadable clips that could not be read, and why
     */
    String html(Optional<byte[]> curves, Predictions heldOut, Map<String, String> unreadable) {
        Map<String, Object> page = new HashMap<>();
        page.put("title", "Training on " + description.provenance().get("data"));
        page.put("curves", curves.map(png -> Base64.getEncoder().encodeToString(png)).orElse(null));
        page.put("unreadable", unreadable.isEmpty() ? null : unreadable.values());
        page.put("unreadableCount", unreadable.size());
        page.put("recipe", description.provenance().get("recipe"));
        Map<String, String> provenance = new LinkedHashMap<>(description.provenance());
        provenance.remove("recipe");
        page.put("provenance", entries(provenance));
        Metrics metrics = heldOut == null ? null : heldOut.metrics(description.activation());
        page.put("summary", entries(summary(heldOut, metrics)));
        page.put("classes", heldOut == null ? null : classes(heldOut, metrics));
        page.put("matrix", heldOut == null || !heldOut.isSingleLabel() || description.labels().size() > LARGEST_MATRIX
                ? null
                : matrix(heldOut));
        return Mustache.compiler().defaultValue("").compile(template()).execute(page);
    }

    private static String template() {
        try (Reader in = new InputStreamReader(TrainingReport.class.getResourceAsStream("report.html"),
                StandardCharsets.UTF_8)) {
            return in.readAllAsString();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<Entry> entries(Map<String, String> map) {
        return map.entrySet().stream().map(entry -> new Entry(entry.getKey(), entry.getValue())).toList();
    }

    private Map<String, String> summary(Predictions heldOut, Metrics metrics) {
        Map<String, String> summary = new LinkedHashMap<>();
        summary.put("epochs", Integer.toString(epochs));
        summary.put("loss of the last epoch", number(last.epoch() == epochs ? last.loss() : Double.NaN));
        if (heldOut != null) {
            summary.put("held-out clips", Integer.toString(heldOut.clips().size()));
            summary.put("accuracy", String.format(Locale.ROOT, "%.2f %%", 100 * metrics.accuracy()));
            summary.put("mAP", number(metrics.meanAveragePrecision()));
            summary.put("mAUC", number(metrics.meanAreaUnderCurve()));
            summary.put("d′", number(metrics.sensitivityIndex()));
            summary.put("lwlrap", number(metrics.labelWeightedRanking()));
        }
        return summary;
    }

    private static String number(double value) {
        return Double.isNaN(value) ? "–" : String.format(Locale.ROOT, "%.4f", value);
    }

    private List<ClassRow> classes(Predictions heldOut, Metrics metrics) {
        List<ClassRow> rows = new ArrayList<>();
        for (int c = 0; c < description.labels().size(); c++) {
            rows.add(
                    new ClassRow(description.labels().get(c), heldOut.clipsOf(c), number(metrics.averagePrecision()[c]),
                            number(metrics.areaUnderCurve()[c])));
        }
        return rows;
    }

    private List<MatrixRow> matrix(Predictions heldOut) {
        int classes = description.labels().size();
        int[][] counts = heldOut.confusion();
        List<MatrixRow> rows = new ArrayList<>();
        for (int truth = 0; truth < classes; truth++) {
            int sum = java.util.Arrays.stream(counts[truth]).sum();
            List<Cell> cells = new ArrayList<>();
            for (int answer = 0; answer < classes; answer++) {
                String colour = truth == answer ? "34, 139, 84" : "200, 60, 40";
                cells.add(new Cell(counts[truth][answer], String.format(Locale.ROOT, "background: rgba(%s, %.2f)",
                        colour, sum == 0 ? 0 : 0.8 * counts[truth][answer] / sum)));
            }
            rows.add(new MatrixRow(truth + 1, description.labels().get(truth), cells));
        }
        return rows;
    }
}

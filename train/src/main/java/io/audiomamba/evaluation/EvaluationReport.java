package io.audiomamba.evaluation;

import io.audiomamba.data.CsvTable;
import io.audiomamba.file.WholeFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import tools.jackson.databind.ObjectMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** An {@link Evaluation} as JSON and as CSV. */
public final class EvaluationReport {

    private static final ObjectMapper JSON = new ObjectMapper();

    private final Evaluation evaluation;
    private final Predictions predictions;
    private final List<String> labels;

    /** Of everything that was measured; nothing is written yet. */
    public EvaluationReport(Evaluation evaluation) {
        this.evaluation = evaluation;
        this.predictions = evaluation.predictions();
        this.labels = evaluation.labels();
    }

    /**
     * Writes {@code evaluation.json}, {@code classes.csv}, {@code scores.csv} (a line a clip with the probabilities of all
     * classes), {@code skipped.csv} if a clip was, and {@code confusion.csv} if every clip has one label.
     */
    public void write(Path folder) {
        WholeFile.createFolder(folder);
        WholeFile.write(folder.resolve("evaluation.json"), json());
        WholeFile.write(folder.resolve("classes.csv"), CsvTable.write(classes()));
        WholeFile.write(folder.resolve("scores.csv"), CsvTable.write(scores()));
        writeIf(!evaluation.failures().isEmpty(), folder.resolve("skipped.csv"), this::skipped);
        writeIf(predictions.isSingleLabel(), folder.resolve("confusion.csv"), this::confusion);
    }

    /** Writes a table that this evaluation has, or deletes that of an earlier one. */
    private static void writeIf(boolean has, Path file, Supplier<Stream<List<?>>> table) {
        if (has) {
            WholeFile.write(file, CsvTable.write(table.get()));
            return;
        }
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw WholeFile.unwritable(file, e);
        }
    }

    /** Everything but the scores of single clips. */
    public String json() {
        ObjectNode root = JSON.createObjectNode();
        root.put("model", evaluation.model()).put("data", evaluation.data());
        root.put("clips", evaluation.clips().size()).put("classes", labels.size());
        ArrayNode skipped = root.putArray("skipped");
        evaluation.failures()
                .forEach((clip, reason) -> skipped.addObject().put("clip", clip).put("reason", reason));
        put(root.putObject("plain"), evaluation.plain());
        if (evaluation.shifted() != null) {
            put(root.putObject("shifted").put("shifts", evaluation.shifts()), evaluation.shifted());
        }
        ArrayNode classes = root.putArray("per_class");
        for (int c = 0; c < labels.size(); c++) {
            ObjectNode entry = classes.addObject().put("label", labels.get(c)).put("clips", predictions.clipsOf(c));
            put(entry, "AP", evaluation.plain().metrics().averagePrecision()[c]);
            put(entry, "AUC", evaluation.plain().metrics().areaUnderCurve()[c]);
        }
        if (predictions.isSingleLabel()) {
            root.set("confusion", JSON.valueToTree(predictions.confusion()));
        }
        return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
    }

    private static void put(ObjectNode node, Evaluation.Scores scores) {
        for (Measure measure : Measure.values()) {
            ObjectNode figure = node.putObject(measure.symbol());
            Interval interval = scores.intervals().get(measure);
            put(figure, "value", measure.of(scores.metrics()));
            put(figure, "low", interval.low());
            put(figure, "high", interval.high());
        }
        node.put("calibration_error", scores.calibrationError());
    }

    /** JSON has no NaN. */
    private static void put(ObjectNode node, String key, double value) {
        if (Double.isFinite(value)) {
            node.put(key, value);
        } else {
            node.putNull(key);
        }
    }

    /** A row a class, under a header: its label, its number of clips, and its measures with and without shifts. */
    public Stream<List<?>> classes() {
        boolean shifted = evaluation.shifted() != null;
        List<String> header = shifted
                ? List.of("label", "clips", "AP", "AUC", "AP shifted", "AUC shifted")
                : List.of("label", "clips", "AP", "AUC");
        return Stream.concat(Stream.of(header), IntStream.range(0, labels.size()).mapToObj(c -> {
            List<Object> row = new ArrayList<>(List.of(labels.get(c), predictions.clipsOf(c)));
            addMeasures(row, evaluation.plain().metrics(), c);
            if (shifted) {
                addMeasures(row, evaluation.shifted().metrics(), c);
            }
            return row;
        }));
    }

    private static void addMeasures(List<Object> row, Metrics metrics, int c) {
        for (double value : new double[] {metrics.averagePrecision()[c], metrics.areaUnderCurve()[c]}) {
            row.add(Double.isNaN(value) ? "" : value);
        }
    }

    private Stream<List<?>> scores() {
        float[][] scores = (evaluation.shifted() == null ? evaluation.plain() : evaluation.shifted())
                .logProbabilities();
        return Stream.concat(Stream.of(headed("clip", labels)), IntStream.range(0, scores.length).mapToObj(i -> {
            List<Object> row = new ArrayList<>(List.of(evaluation.clips().get(i)));
            for (float score : scores[i]) {
                row.add((float) Math.exp(score));
            }
            return row;
        }));
    }

    private Stream<List<?>> skipped() {
        return Stream.concat(Stream.of(List.of("clip", "reason")),
                evaluation.failures().entrySet().stream().map(skip -> List.of(skip.getKey(), skip.getValue())));
    }

    private Stream<List<?>> confusion() {
        int[][] confusion = predictions.confusion();
        return Stream.concat(Stream.of(headed("label", labels)), IntStream.range(0, labels.size())
                .mapToObj(c -> headed(labels.get(c), IntStream.of(confusion[c]).boxed().toList())));
    }

    private static List<Object> headed(String head, List<?> rest) {
        List<Object> row = new ArrayList<>(List.of(head));
        row.addAll(rest);
        return row;
    }
}

package io.audiomamba.data;

import io.audiomamba.error.ConfigurationException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * A CSV file with the columns {@code file} (relative to the CSV file), {@code labels} (one or several, separated by
 * {@code ;}) and, if there are folds, {@code fold}. The classes are those that occur, in alphabetical order.
 */
final class Manifest {

    private Manifest() {}

    static Dataset read(Path manifest) {
        List<Map<String, String>> rows = CsvTable.read(manifest, "file", "labels");
        TreeSet<String> names = new TreeSet<>();
        rows.forEach(row -> names.addAll(labels(manifest, row)));
        List<String> labels = List.copyOf(names);
        List<Clip> clips = new ArrayList<>();
        for (Map<String, String> row : rows) {
            Path file = manifest.toAbsolutePath().resolveSibling(row.get("file"));
            clips.add(new Clip(row.get("file"), file,
                    labels(manifest, row).stream().map(labels::indexOf).toList(), fold(manifest, row)));
        }
        return Dataset.ofFiles(Dataset.titleOf(manifest), labels, clips);
    }

    private static List<String> labels(Path manifest, Map<String, String> row) {
        List<String> labels = Arrays.stream(row.get("labels").split(";")).map(String::strip)
                .filter(label -> !label.isEmpty()).toList();
        if (labels.isEmpty()) {
            throw new ConfigurationException(manifest + ": " + row.get("file") + " has no label.");
        }
        return labels;
    }

    private static int fold(Path manifest, Map<String, String> row) {
        String fold = row.getOrDefault("fold", "0");
        try {
            return Integer.parseInt(fold.strip());
        } catch (NumberFormatException e) {
            throw new ConfigurationException(manifest + ": the fold '" + fold + "' is not a whole number.", e);
        }
    }
}

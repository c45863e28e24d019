package io.audiomamba.data;

import io.audiomamba.error.ConfigurationException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * ESC-50 as published (Piczak 2015), and every dataset of its layout: {@code meta/esc50.csv} with the columns filename,
 * fold, target and category, and the sounds in {@code audio}. The classes are those that occur, in the order of their
 * targets.
 */
final class Esc50 {

    private Esc50() {}

    private static Path table(Path root) {
        return root.resolve("meta").resolve("esc50.csv");
    }

    static boolean isAt(Path root) {
        return Files.isRegularFile(table(root));
    }

    static Dataset read(Path root) {
        List<Map<String, String>> rows = CsvTable.read(table(root), "filename", "fold", "target", "category");
        Map<Integer, String> categories = categories(root, rows);
        List<Integer> targets = List.copyOf(categories.keySet());
        List<Clip> clips = new ArrayList<>();
        for (Map<String, String> row : rows) {
            String name = row.get("filename");
            clips.add(new Clip(name, root.resolve("audio").resolve(name),
                    List.of(targets.indexOf(number(root, row, "target"))), number(root, row, "fold")));
        }
        return Dataset.ofFiles(Dataset.titleOf(root), List.copyOf(categories.values()), clips);
    }

    /** By the target. */
    private static Map<Integer, String> categories(Path root, List<Map<String, String>> rows) {
        Map<Integer, String> categories = new TreeMap<>();
        Map<Integer, Map<String, String>> byTarget = new HashMap<>();
        Map<String, Map<String, String>> byCategory = new HashMap<>();
        for (Map<String, String> row : rows) {
            int target = number(root, row, "target");
            String category = row.get("category").replace('_', ' ');
            if (category.isBlank()) {
                throw new ConfigurationException(table(root) + ": " + row.get("filename")
                        + " has no category; name its class in the column category.");
            }
            categories.put(target, category);
            Map<String, String> sameTarget = byTarget.putIfAbsent(target, row);
            Map<String, String> sameCategory = byCategory.putIfAbsent(category, row);
            if (sameTarget != sameCategory) { // the first row of a target is the first of its category
                Map<String, String> other = sameTarget == null ? sameCategory : sameTarget;
                throw new ConfigurationException(table(root) + ": " + numbered(other) + ", but " + numbered(row)
                        + "; a target must have one category, and a category one target.");
            }
        }
        return categories;
    }

    private static String numbered(Map<String, String> row) {
        return row.get("filename") + " has the target " + row.get("target") + " and the category '"
                + row.get("category") + "'";
    }

    private static int number(Path root, Map<String, String> row, String column) {
        try {
            return Integer.parseInt(row.get(column));
        } catch (NumberFormatException e) {
            throw new ConfigurationException(
                    table(root) + ": the " + column + " '" + row.get(column) + "' is not a whole number.", e);
        }
    }
}

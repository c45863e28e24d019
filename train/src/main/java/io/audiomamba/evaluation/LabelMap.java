package io.audiomamba.evaluation;

import io.audiomamba.data.CsvTable;
import io.audiomamba.error.ConfigurationException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Which classes of a model are meant by each class of a dataset. Names are compared without regard to capitals, and
 * underscores are spaces.
 */
public final class LabelMap {

    private static final int SHOWN = 5;
    private static final String DATASET = "dataset";
    private static final String MODEL = "model";

    /** By the dataset's class, the model's. */
    private final int[][] sources;

    private LabelMap(int[][] sources) {
        this.sources = sources;
    }

    /**
     * Classes of the same name.
     *
     * @param model   the model's labels
     * @param dataset the dataset's labels
     * @throws ConfigurationException naming the labels of the dataset that the model does not know
     */
    public static LabelMap byName(List<String> model, List<String> dataset) {
        return of(Map.of(), model, dataset);
    }

    /**
     * Classes as a CSV file says, with the columns {@code dataset} and {@code model}; those that it leaves out by name.
     * A class of the dataset may stand in several lines: it is as probable as the most probable of its counterparts.
     *
     * @throws ConfigurationException if the file names classes that are not there, or leaves some of the dataset without
     */
    public static LabelMap read(Path file, List<String> model, List<String> dataset) {
        Map<String, Integer> models = indices(model);
        Map<String, Integer> classes = indices(dataset);
        Map<String, List<Integer>> given = new LinkedHashMap<>();
        for (Map<String, String> row : CsvTable.read(file, DATASET, MODEL)) {
            require(classes, row.get(DATASET), file + ": the dataset has no class");
            int source = require(models, row.get(MODEL), file + ": the model has no class");
            given.computeIfAbsent(normalised(row.get(DATASET)), _ -> new ArrayList<>()).add(source);
        }
        return of(given, model, dataset);
    }

    private static int require(Map<String, Integer> indices, String label, String problem) {
        Integer index = indices.get(normalised(label));
        if (index == null) {
            throw new ConfigurationException(problem + " '" + label + "'.");
        }
        return index;
    }

    private static LabelMap of(Map<String, List<Integer>> given, List<String> model, List<String> dataset) {
        Map<String, Integer> models = indices(model);
        int[][] sources = new int[dataset.size()][];
        List<String> unknown = new ArrayList<>();
        for (int c = 0; c < sources.length; c++) {
            String label = normalised(dataset.get(c));
            if (given.containsKey(label)) {
                sources[c] = given.get(label).stream().mapToInt(Integer::intValue).toArray();
            } else if (models.containsKey(label)) {
                sources[c] = new int[] {models.get(label)};
            } else {
                unknown.add(dataset.get(c));
            }
        }
        if (!unknown.isEmpty()) {
            Map<String, Integer> classes = indices(dataset);
            List<String> unused = model.stream().filter(label -> !classes.containsKey(normalised(label))).toList();
            throw new ConfigurationException("The model does not know " + unknown.size() + " of the dataset's "
                    + dataset.size() + " classes: " + list(unknown)
                    + (unused.isEmpty() ? "" : "; those that only the model has: " + list(unused))
                    + "; if they go by other names, say which in a file for --label-map.");
        }
        return new LabelMap(sources);
    }

    private static Map<String, Integer> indices(List<String> labels) {
        Map<String, Integer> indices = new HashMap<>();
        for (int i = 0; i < labels.size(); i++) {
            indices.put(normalised(labels.get(i)), i);
        }
        return indices;
    }

    private static String normalised(String label) {
        return label.replace('_', ' ').strip().toLowerCase(Locale.ROOT);
    }

    private static String list(List<String> labels) {
        return labels.stream().limit(SHOWN).map(label -> "'" + label + "'").collect(Collectors.joining(", "))
                + (labels.size() > SHOWN ? " and " + (labels.size() - SHOWN) + " more" : "");
    }

    /**
     * @param scores (clips, classes of the model)
     * @return (clips, classes of the dataset): the highest score of each class's counterparts
     */
    float[][] apply(float[][] scores) {
        float[][] mapped = new float[scores.length][sources.length];
        for (int i = 0; i < mapped.length; i++) {
            for (int c = 0; c < sources.length; c++) {
                float highest = Float.NEGATIVE_INFINITY;
                for (int source : sources[c]) {
                    highest = Math.max(highest, scores[i][source]);
                }
                mapped[i][c] = highest;
            }
        }
        return mapped;
    }
}

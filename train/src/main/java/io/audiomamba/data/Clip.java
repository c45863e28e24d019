package io.audiomamba.data;

import java.nio.file.Path;
import java.util.List;

/**
 * One labelled sound of a {@link Dataset}.
 *
 * @param name   unique in the dataset, and the same however the dataset is stored
 * @param file   where the sound is
 * @param labels the numbers of its classes, ascending; at least one
 * @param fold   the part of the dataset that it belongs to, as its authors cut it; 0 if they did not
 */
public record Clip(String name, Path file, List<Integer> labels, int fold) {

    public Clip {
        labels = labels.stream().distinct().sorted().toList();
    }
}

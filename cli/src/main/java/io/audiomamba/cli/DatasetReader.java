package io.audiomamba.cli;

import io.audiomamba.data.Dataset;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;

/** Reads datasets, and tells the user what they lack or ignore. */
final class DatasetReader {

    private DatasetReader() {}

    static Dataset read(Path path, PrintWriter err) {
        Dataset dataset = Dataset.read(path);
        int listed = dataset.clips().size() + dataset.missing().size();
        warn(err, dataset, dataset.missing(), listed, "clips are not there");
        warn(err, dataset, dataset.ignored(), dataset.clips().size() + dataset.ignored().size(),
                "files are not named as sounds");
        warn(err, dataset, dataset.emptyClasses(), dataset.labels().size(), "classes have no clip");
        return dataset;
    }

    private static void warn(PrintWriter err, Dataset dataset, List<String> named, int all, String what) {
        if (!named.isEmpty()) {
            err.printf("audiomamba: warning: %s: %d of %d %s, such as %s%n", dataset.title(), named.size(), all,
                    what, named.getFirst());
        }
    }
}

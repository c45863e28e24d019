package io.audiomamba.cli;

import io.audiomamba.data.Dataset;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;

/** Reads datasets, and tells the user what they lack. */
final class DatasetReader {

    private DatasetReader() {}

    static Dataset read(Path path, PrintWriter err) {
        Dataset dataset = Dataset.read(path);
        int listed = dataset.clips().size() + dataset.missing().size();
        warn(err, dataset, dataset.missing(), listed, "clips are not there");
        warn(err, dataset, dataset.emptyClasses(), dataset.labels().size(), "classes have no clip");
        return dataset;
    }

    private static void warn(PrintWriter err, Dataset dataset, List<String> lacking, int all, String what) {
        if (!lacking.isEmpty()) {
            err.printf("audiomamba: warning: %s: %d of %d %s, such as %s%n", dataset.title(), lacking.size(), all,
                    what, lacking.getFirst());
        }
    }
}

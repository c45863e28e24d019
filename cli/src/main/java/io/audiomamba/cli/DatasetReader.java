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
        warn(err, dataset.missing(), dataset.title() + ": %d of " + listed + " clips are not there, such as %s%n");
        warn(err, dataset.emptyClasses(),
                dataset.title() + ": %d of " + dataset.labels().size() + " classes have no clip, such as %s%n");
        return dataset;
    }

    private static void warn(PrintWriter err, List<String> lacking, String format) {
        if (!lacking.isEmpty()) {
            err.printf("audiomamba: warning: " + format, lacking.size(), lacking.getFirst());
        }
    }
}

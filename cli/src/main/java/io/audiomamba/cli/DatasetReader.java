package io.audiomamba.cli;

import io.audiomamba.data.Dataset;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
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

    /**
     * The same where something is to be made of the dataset.
     *
     * @param output the folder for it; null for none
     * @throws ConfigurationException if that lies among the dataset's classes, where it would be taken for one
     */
    static Dataset read(Path path, Path output, PrintWriter err) {
        Dataset dataset = read(path, err);
        if (output != null && isOfClassFolders(dataset, path) && isSeenIn(path, output)) {
            throw new ConfigurationException(output + ": lies in " + path
                    + ", where each folder is a class; name a folder elsewhere.");
        }
        return dataset;
    }

    /** Whether {@code output}, there or not, lies below {@code data}, and not in a hidden folder of it. */
    private static boolean isSeenIn(Path data, Path output) {
        try {
            Path whole = output.toAbsolutePath().normalize();
            Path there = whole;
            while (!Files.exists(there)) {
                there = there.getParent();
            }
            Path real = there.toRealPath().resolve(there.relativize(whole)).normalize();
            Path root = data.toRealPath();
            return real.startsWith(root) && !real.equals(root)
                    && !root.relativize(real).getName(0).toString().startsWith(".");
        } catch (IOException e) {
            throw new EnvironmentException(output + ": cannot be found (" + e.getMessage() + ").", e);
        }
    }

    private static boolean isOfClassFolders(Dataset dataset, Path path) {
        return dataset.clips().stream().allMatch(clip -> clip.file().startsWith(path) && path.relativize(clip.file())
                .getName(0).toString().equals(dataset.labels().get(clip.labels().getFirst())));
    }

    private static void warn(PrintWriter err, Dataset dataset, List<String> named, int all, String what) {
        if (!named.isEmpty()) {
            err.printf("audiomamba: warning: %s: %d of %d %s, such as %s%n", dataset.title(), named.size(), all,
                    what, named.getFirst());
        }
    }
}

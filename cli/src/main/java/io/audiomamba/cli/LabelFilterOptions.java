package io.audiomamba.cli;

import io.audiomamba.labels.LabelFilter;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** {@code --allow} and {@code --deny}. */
final class LabelFilterOptions {

    @Option(names = "--allow", paramLabel = "LABEL|FILE", description = "Prints only this class, or those of a file with one a line; may be repeated. AudioSet's machine identifiers will do.")
    private List<String> allowed = new ArrayList<>();

    @Option(names = "--deny", paramLabel = "LABEL|FILE", description = "Never prints this class, or those of a file; may be repeated.")
    private List<String> denied = new ArrayList<>();

    /** @param labels of the model */
    LabelFilter over(List<String> labels) {
        return LabelFilter.of(labels, allowed, denied);
    }
}

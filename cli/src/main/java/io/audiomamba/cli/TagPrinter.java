package io.audiomamba.cli;

import io.audiomamba.Tag;
import java.util.List;

/** Prints what became of each file, at once. */
interface TagPrinter {

    /** What was heard in a file. */
    void tags(String file, double seconds, List<Tag> tags);

    /** Why nothing was; {@code reason} is a sentence. */
    void failure(String file, String reason);
}

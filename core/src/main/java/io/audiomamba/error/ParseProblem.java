package io.audiomamba.error;

import tools.jackson.core.JacksonException;

/** What a parser of JSON or CSV complains about, in words that mean something to users. */
public final class ParseProblem {

    private ParseProblem() {}

    /** The parser's sentence, without its full stop and without its own settings, and where in the text that is. */
    public static String of(JacksonException e) {
        String problem = e.getOriginalMessage().replaceAll(" \\(start marker at .*\\)", "")
                .replaceAll(", from `[^`]*`", "").replaceAll("\\.$", "");
        return e.getLocation() == null || e.getLocation().getLineNr() < 1
                ? problem
                : problem + " (line " + e.getLocation().getLineNr() + ", column " + e.getLocation().getColumnNr() + ")";
    }
}

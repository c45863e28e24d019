package io.audiomamba.error;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.exc.MismatchedInputException;

/** What a parser of JSON or CSV complains about, in words that mean something to users. */
public final class ParseProblem {

    private ParseProblem() {}

    /**
     * {@code content}, which a parser found.
     *
     * @throws JacksonException if it is null: the text is the word {@code null}, which parsers take for one of any type
     */
    public static <T> T required(T content) {
        if (content == null) {
            throw MismatchedInputException.from(null, (Class<?>) null, "there is nothing in it but null");
        }
        return content;
    }

    /** The parser's sentence, without its full stop, its settings and names of classes, and where in the text that is. */
    public static String of(JacksonException e) {
        String problem = e.getOriginalMessage().replaceAll(" \\((start marker|for \\w+ starting) at .*\\)", "")
                .replaceAll(", from `[^`]*`", "")
                .replaceAll(
                        "^Cannot (?:deserialize value of type|construct instance of) `[^`]*`.*? from (\\w+) value.*",
                        "Unexpected $1")
                .replaceAll("^Cannot deserialize value of type `[^`]*` from (\\w+) (\".*\"): .*", "Unexpected $1 $2")
                .replaceAll("^Cannot construct instance of `[^`]*`, problem: (.*)", "$1")
                .replaceAll("^Cannot (?:map|coerce) `null`.*", "Unexpected null")
                .replaceAll("^Trailing token .*", "Something follows its end").replaceAll("\\.$", "");
        return e.getLocation() == null || e.getLocation().getLineNr() < 1
                ? problem
                : at(problem, e.getLocation().getLineNr(), e.getLocation().getColumnNr());
    }

    /** A problem and where it is, counted from 1. */
    public static String at(String problem, int line, int column) {
        return problem + " (line " + line + ", column " + column + ")";
    }
}

package io.audiomamba.cli;

import io.audiomamba.Tag;
import io.audiomamba.data.CsvTable;
import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** How tags are printed. */
enum TagFormat {
    /** For people. */
    TEXT {
        @Override
        TagPrinter printer(PrintWriter out, PrintWriter err, String model) {
            return new TagPrinter() {
                @Override
                public void tags(String file, double seconds, List<Tag> tags) {
                    out.printf(Locale.ROOT, "%s  (%.1f s)%n", file, seconds);
                    tags.forEach(tag -> out.printf(Locale.ROOT, "  %5.1f %%  %s%n", 100 * tag.score(), tag.label()));
                    if (tags.isEmpty()) {
                        out.println("  nothing above the threshold");
                    }
                }

                @Override
                public void failure(String file, String reason) {
                    err.println("audiomamba: " + reason);
                }
            };
        }
    },
    /** One object a line, failures among them. */
    JSON {
        @Override
        TagPrinter printer(PrintWriter out, PrintWriter err, String model) {
            return new TagPrinter() {
                @Override
                public void tags(String file, double seconds, List<Tag> tags) {
                    ObjectNode line = JsonNodeFactory.instance.objectNode();
                    line.put("file", file).put("model", model).put("seconds", Math.round(seconds * 1e3) / 1e3);
                    ArrayNode list = line.putArray("tags");
                    tags.forEach(
                            tag -> list.addObject().put("label", tag.label()).put("score", (float) tag.score()));
                    out.println(line);
                }

                @Override
                public void failure(String file, String reason) {
                    out.println(JsonNodeFactory.instance.objectNode().put("file", file).put("error", reason));
                }
            };
        }
    },
    /** One tag a line under a header (RFC 4180). */
    CSV {
        @Override
        TagPrinter printer(PrintWriter out, PrintWriter err, String model) {
            out.print(CsvTable.text(Stream.of(List.of("file", "seconds", "label", "score"))));
            return new TagPrinter() {
                @Override
                public void tags(String file, double seconds, List<Tag> tags) {
                    String length = String.format(Locale.ROOT, "%.3f", seconds);
                    out.print(CsvTable.text(tags.stream().map(tag -> List.of(file, length, tag.label(),
                            String.format(Locale.ROOT, "%.6f", tag.score())))));
                    out.flush();
                }

                @Override
                public void failure(String file, String reason) {
                    err.println("audiomamba: " + reason);
                }
            };
        }
    };

    /** As it is written on the command line. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** @param model what to call the model in the output */
    abstract TagPrinter printer(PrintWriter out, PrintWriter err, String model);
}

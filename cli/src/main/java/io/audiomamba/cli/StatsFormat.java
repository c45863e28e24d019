package io.audiomamba.cli;

import io.audiomamba.data.Clip;
import io.audiomamba.data.ClipStatistics;
import io.audiomamba.data.Dataset;
import io.audiomamba.data.DatasetStatistics;
import io.audiomamba.data.Duplicates;
import io.audiomamba.data.FrontEndStatistics;
import java.io.PrintWriter;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import tools.jackson.databind.ObjectMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** How the figures of a dataset are printed. */
enum StatsFormat {
    /** For people. */
    TEXT {
        /** How many duplicates are listed. */
        private static final int LISTED = 20;

        @Override
        void print(DatasetStatistics statistics, PrintWriter out) {
            Dataset dataset = statistics.dataset();
            out.printf(Locale.ROOT, "%s: %d clips, %d classes, %.1f min; %d missing, %d cannot be decoded%n",
                    dataset.title(), dataset.clips().size(), dataset.labels().size(),
                    summary(statistics, ClipStatistics::seconds).getSum() / 60, dataset.missing().size(),
                    statistics.failures().size());
            counts(statistics, out);
            out.println();
            range(out, "seconds", "%.2f", summary(statistics, ClipStatistics::seconds));
            out.println("sample rate  " + rates(statistics).entrySet().stream()
                    .map(rate -> rate.getValue() + " of " + rate.getKey() + " Hz").collect(Collectors.joining(", ")));
            range(out, "level, dBFS", "%.1f", summary(statistics, ClipStatistics::level));
            range(out, "peak, dBFS", "%.1f", summary(statistics, ClipStatistics::peak));
            out.printf("             %d silent, %d reach full scale%n", count(statistics, ClipStatistics::isSilent),
                    count(statistics, ClipStatistics::reachesFullScale));
            duplicates(statistics.duplicates(), dataset.labels(), out);
            FrontEndStatistics frontEnd = statistics.frontEnd();
            out.printf(Locale.ROOT, "front end    %s: mean %.4f, deviation %.4f%n", frontEnd.name(), frontEnd.mean(),
                    frontEnd.deviation());
        }

        private static void counts(DatasetStatistics statistics, PrintWriter out) {
            List<Integer> folds = statistics.dataset().folds();
            List<int[]> counts = folds.stream().map(statistics::counts).toList();
            out.printf("%n%7s", "clips");
            folds.stream().filter(_ -> folds.size() > 1).forEach(fold -> out.printf(" %7s", "fold " + fold));
            out.println("  class");
            for (int c = 0; c < statistics.dataset().labels().size(); c++) {
                int label = c;
                out.printf("%7d", counts.stream().mapToInt(fold -> fold[label]).sum());
                counts.stream().filter(_ -> folds.size() > 1).forEach(fold -> out.printf(" %7d", fold[label]));
                out.println("  " + statistics.dataset().labels().get(c));
            }
        }

        private static void range(PrintWriter out, String name, String number, DoubleSummaryStatistics values) {
            out.printf(Locale.ROOT, "%-12s " + number + " to " + number + ", mean " + number + "%n", name,
                    values.getMin(), values.getMax(), values.getAverage());
        }

        private static void duplicates(Duplicates duplicates, List<String> labels, PrintWriter out) {
            out.printf("duplicates   groups with equal samples: %d; pairs that sound alike: %s%n",
                    duplicates.exact().size(),
                    duplicates.near() == null
                            ? "not looked for among more than " + Duplicates.MOST_CLIPS + " clips"
                            : duplicates.near().size());
            duplicates.exact().stream().limit(LISTED).forEach(group -> out.println("             "
                    + group.stream().map(clip -> described(clip, labels)).collect(Collectors.joining(" = "))));
            if (duplicates.near() != null) {
                duplicates.near().stream().limit(LISTED)
                        .forEach(pair -> out.printf(Locale.ROOT, "             %s ~ %s, %.2f dB%n",
                                described(pair.first(), labels), described(pair.second(), labels), pair.distance()));
            }
        }

        private static String described(Clip clip, List<String> labels) {
            return clip.name() + " (" + clip.labels().stream().map(labels::get).collect(Collectors.joining(", "))
                    + (clip.fold() == 0 ? ")" : ", fold " + clip.fold() + ")");
        }
    },
    /** One object. */
    JSON {
        private static final ObjectMapper MAPPER = new ObjectMapper();

        @Override
        void print(DatasetStatistics statistics, PrintWriter out) {
            Dataset dataset = statistics.dataset();
            ObjectNode root = MAPPER.createObjectNode();
            root.put("data", dataset.title()).put("clips", dataset.clips().size());
            root.set("missing", MAPPER.valueToTree(dataset.missing()));
            ArrayNode unreadable = root.putArray("unreadable");
            statistics.failures()
                    .forEach((clip, reason) -> unreadable.addObject().put("clip", clip).put("reason", reason));
            ObjectNode folds = root.putObject("clips_by_fold_and_class");
            for (int fold : dataset.folds()) {
                int[] counts = statistics.counts(fold);
                ObjectNode classes = folds.putObject(Integer.toString(fold));
                IntStream.range(0, counts.length).forEach(c -> classes.put(dataset.labels().get(c), counts[c]));
            }
            range(root.putObject("seconds"), summary(statistics, ClipStatistics::seconds));
            ObjectNode rates = root.putObject("clips_by_sample_rate");
            rates(statistics).forEach((rate, count) -> rates.put(rate.toString(), count));
            range(root.putObject("level_dbfs"), summary(statistics, ClipStatistics::level));
            range(root.putObject("peak_dbfs"), summary(statistics, ClipStatistics::peak));
            root.put("silent", count(statistics, ClipStatistics::isSilent));
            root.put("full_scale", count(statistics, ClipStatistics::reachesFullScale));
            duplicates(root, statistics.duplicates());
            root.set("front_end", MAPPER.valueToTree(statistics.frontEnd()));
            out.println(MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(root));
        }

        private static void range(ObjectNode node, DoubleSummaryStatistics values) {
            if (values.getCount() > 0) {
                node.put("least", values.getMin()).put("greatest", values.getMax()).put("mean", values.getAverage());
            }
        }

        private static void duplicates(ObjectNode root, Duplicates duplicates) {
            ArrayNode exact = root.putArray("equal");
            duplicates.exact().forEach(group -> {
                ArrayNode names = exact.addArray();
                group.forEach(clip -> names.add(clip.name()));
            });
            if (duplicates.near() != null) {
                ArrayNode near = root.putArray("alike");
                duplicates.near().forEach(pair -> near.addObject().put("first", pair.first().name())
                        .put("second", pair.second().name()).put("distance_db", pair.distance()));
            }
        }
    };

    abstract void print(DatasetStatistics statistics, PrintWriter out);

    /** Of the clips for which there is a finite value: silence has no level. */
    private static DoubleSummaryStatistics summary(DatasetStatistics statistics,
            ToDoubleFunction<ClipStatistics> value) {
        return statistics.clips().stream().mapToDouble(value).filter(Double::isFinite).summaryStatistics();
    }

    private static long count(DatasetStatistics statistics, Predicate<ClipStatistics> condition) {
        return statistics.clips().stream().filter(condition).count();
    }

    /** How many clips there are of each sample rate. */
    private static Map<Integer, Long> rates(DatasetStatistics statistics) {
        return statistics.clips().stream()
                .collect(Collectors.groupingBy(ClipStatistics::rate, TreeMap::new, Collectors.counting()));
    }
}

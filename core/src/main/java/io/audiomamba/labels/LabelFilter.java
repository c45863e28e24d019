package io.audiomamba.labels;

import io.audiomamba.error.ConfigurationException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Which classes of a model the user wants to hear of. */
public final class LabelFilter implements Predicate<String> {

    private static final int SUGGESTIONS = 3;

    private final Set<String> kept;

    private LabelFilter(Set<String> kept) {
        this.kept = kept;
    }

    /**
     * The classes that are allowed and not denied. Each item is a label in any case, the machine identifier of an
     * {@linkplain AudioSet AudioSet} class, or a file with such items, one a line.
     *
     * @param labels  of the model
     * @param allowed if empty, all are
     * @param denied  wins over {@code allowed}
     * @throws ConfigurationException if an item is none of the model's classes, or no class is left
     */
    public static LabelFilter of(List<String> labels, List<String> allowed, List<String> denied) {
        Set<String> kept = new LinkedHashSet<>(allowed.isEmpty() ? labels : resolved(labels, allowed));
        kept.removeAll(resolved(labels, denied));
        if (kept.isEmpty()) {
            throw new ConfigurationException("The lists of allowed and denied classes leave none.");
        }
        return new LabelFilter(kept);
    }

    @Override
    public boolean test(String label) {
        return kept.contains(label);
    }

    private static Set<String> resolved(List<String> labels, List<String> items) {
        return items.stream().flatMap(item -> {
            String label = find(labels, item);
            return label == null && isFile(item)
                    ? Labels.read(Path.of(item)).stream().map(line -> require(labels, line, find(labels, line)))
                    : Stream.of(require(labels, item, label));
        }).collect(Collectors.toCollection(LinkedHashSet::new));
    }

    private static boolean isFile(String item) {
        try {
            return Files.isRegularFile(Path.of(item));
        } catch (InvalidPathException e) {
            return false;
        }
    }

    private static String find(List<String> labels, String item) {
        String name = AudioSet.byMachineId(item).map(AudioSetClass::name).orElse(item);
        return labels.contains(name)
                ? name
                : labels.stream().filter(name::equalsIgnoreCase).findFirst().orElse(null);
    }

    private static String require(List<String> labels, String item, String label) {
        if (label != null) {
            return label;
        }
        String text = item.toLowerCase(Locale.ROOT);
        String similar = labels.stream().filter(other -> other.toLowerCase(Locale.ROOT).contains(text))
                .limit(SUGGESTIONS).map(other -> "'" + other + "'").collect(Collectors.joining(", "));
        throw new ConfigurationException("The model has no class '" + item + "', and there is no file of that name"
                + (similar.isEmpty() ? "." : "; it has " + similar + "."));
    }
}

package io.audiomamba.data;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.labels.AudioSet;
import io.audiomamba.labels.AudioSetClass;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * AudioSet as published (Gemmeke et al. 2017). A file of segments, such as {@code eval_segments.csv}, is one subset: a
 * line a clip with its YouTube id, its start and end in seconds, and the machine ids of its classes. The sounds lie
 * anywhere below the folder of that file and are told by their names: the id, which a {@code Y} may precede, and after it, if
 * at all, the start and perhaps the end, in seconds or milliseconds ({@code ID.wav}, {@code YID.wav},
 * {@code ID_30.000.flac}, {@code ID_30000_40000.m4a}). The classes are all those of {@code class_labels_indices.csv}
 * beside the segments, or else all 527.
 */
final class AudioSetSegments {

    private static final String SEGMENTS = "segments.csv";
    private static final String CLASSES = "class_labels_indices.csv";
    private static final String ID = "id";
    private static final String START = "start";
    private static final String END = "end";
    private static final String LABELS = "labels";
    private static final Pattern CLIP = Pattern
            .compile("([\\w-]{11})(?:[_-](\\d+(?:\\.\\d+)?))?(?:[_-]\\d+(?:\\.\\d+)?)?");

    private AudioSetSegments() {}

    /** Whether {@code path} is a file of segments, or a folder that holds some. */
    static boolean isAt(Path path) {
        return Files.isDirectory(path) ? !tables(path).isEmpty() : isTable(path);
    }

    private static List<Path> tables(Path folder) {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.filter(path -> path.toString().endsWith(SEGMENTS) && isTable(path)).sorted().toList();
        } catch (IOException e) {
            throw new ConfigurationException(folder + ": cannot be listed (" + e.getMessage() + ").", e);
        }
    }

    /** Told by its name, or by the comments that it begins with as published. */
    private static boolean isTable(Path file) {
        try (BufferedReader in = Files.newBufferedReader(file, StandardCharsets.ISO_8859_1)) {
            return file.getFileName().toString().endsWith(SEGMENTS) || in.read() == '#';
        } catch (IOException e) {
            throw new ConfigurationException(file + ": cannot be read (" + e.getMessage() + ").", e);
        }
    }

    static Dataset read(Path path) {
        Path table = Files.isDirectory(path) ? onlyTable(path) : path.toAbsolutePath();
        List<AudioSetClass> classes = classes(table);
        Map<String, Integer> indices = new HashMap<>();
        classes.forEach(kind -> indices.put(kind.machineId(), kind.index()));
        Map<String, List<Sound>> sounds = sounds(table.getParent());
        List<Clip> there = new ArrayList<>();
        List<String> missing = new ArrayList<>();
        for (Map<String, String> row : CsvTable.readWithoutHeader(table, ID, START, END, LABELS)) {
            double start = seconds(table, row);
            String name = String.format(Locale.ROOT, "%s_%.3f", row.get(ID), start);
            Path file = find(sounds.getOrDefault(row.get(ID), List.of()), start);
            if (file == null) {
                missing.add(name);
            } else {
                there.add(new Clip(name, file, labels(table, row, indices), 0));
            }
        }
        return new Dataset(Dataset.titleOf(table).replace(".csv", ""),
                classes.stream().map(AudioSetClass::name).toList(), there, missing, Dataset.Sounds.DECODED);
    }

    private static Path onlyTable(Path folder) {
        List<Path> tables = tables(folder);
        if (tables.size() > 1) {
            throw new ConfigurationException(folder + ": holds several files of segments; name the one to use: "
                    + tables.stream().map(Path::toString).collect(Collectors.joining(", ")) + ".");
        }
        return tables.getFirst().toAbsolutePath();
    }

    private static List<AudioSetClass> classes(Path table) {
        Path file = table.resolveSibling(CLASSES);
        if (!Files.exists(file)) {
            return AudioSet.classes();
        }
        List<AudioSetClass> classes = new ArrayList<>();
        for (Map<String, String> row : CsvTable.read(file, "index", "mid", "display_name")) {
            classes.add(new AudioSetClass(classes.size(), row.get("mid"), row.get("display_name")));
        }
        return classes;
    }

    private static List<Integer> labels(Path table, Map<String, String> row, Map<String, Integer> indices) {
        return Stream.of(row.get(LABELS).split(",")).map(String::strip)
                .map(id -> Objects.requireNonNullElseGet(indices.get(id), () -> {
                    throw new ConfigurationException(
                            table + ": " + row.get(ID) + " has the class '" + id + "', which is none of AudioSet's.");
                })).toList();
    }

    private static double seconds(Path table, Map<String, String> row) {
        try {
            double start = Double.parseDouble(row.get(START));
            if (Double.isFinite(start)) {
                return start;
            }
        } catch (NumberFormatException _) {
            // said below
        }
        throw new ConfigurationException(
                table + ": the start '" + row.get(START) + "' of " + row.get(ID) + " is not a number of seconds.");
    }

    /**
     * A file that may hold a segment.
     *
     * @param start as its name states it; null if it does not
     */
    private record Sound(Path file, String start) {

        /** Whether the stated start is {@code seconds}; a whole number may be of milliseconds. */
        boolean startsAt(double seconds) {
            double stated = Double.parseDouble(start);
            return stated == seconds || (!start.contains(".") && stated == Math.rint(1000 * seconds));
        }
    }

    /** The files of sound by every YouTube id that their names may mean. */
    private static Map<String, List<Sound>> sounds(Path root) {
        Map<String, List<Sound>> sounds = new LinkedHashMap<>();
        for (Path file : FileTree.of(root).files()) {
            if (FileTree.isSound(file)) {
                String name = file.getFileName().toString();
                String stem = name.substring(0, name.lastIndexOf('.'));
                note(stem, file, sounds);
                if (stem.startsWith("Y")) {
                    note(stem.substring(1), file, sounds);
                }
            }
        }
        return sounds;
    }

    private static void note(String stem, Path file, Map<String, List<Sound>> sounds) {
        Matcher matcher = CLIP.matcher(stem);
        if (matcher.matches()) {
            sounds.computeIfAbsent(matcher.group(1), _ -> new ArrayList<>()).add(new Sound(file, matcher.group(2)));
        }
    }

    /** The file that states the right start, else one that states none; null if there is neither. */
    private static Path find(List<Sound> sounds, double start) {
        return sounds.stream().filter(sound -> sound.start() != null && sound.startsAt(start))
                .findFirst().or(() -> sounds.stream().filter(sound -> sound.start() == null).findFirst())
                .map(Sound::file).orElse(null);
    }
}

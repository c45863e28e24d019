package io.audiomamba.labels;

import io.audiomamba.error.ConfigurationException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/** Names of classes: a file of the user's, or a list that is known by name. */
public final class Labels {

    private static final int IMAGE_NET_CLASSES = 1000;
    /** Which some editors put before a text. */
    private static final String BYTE_ORDER_MARK = "^\uFEFF";
    private static final Map<String, Supplier<List<String>>> KNOWN = Map.of("audioset", AudioSet::names, "imagenet",
            Labels::imageNet);

    private Labels() {}

    /**
     * The list called {@code audioset} or {@code imagenet}, else the lines of a text file, one class each; blank lines
     * do not count.
     *
     * @throws ConfigurationException if there is neither, or the file names no class or one twice
     */
    public static List<String> read(String nameOrFile) {
        return KNOWN.containsKey(nameOrFile) ? KNOWN.get(nameOrFile).get() : read(Path.of(nameOrFile));
    }

    /** The numbers of ImageNet's 1,000 classes: their names are not among what this project may pass on. */
    private static List<String> imageNet() {
        return IntStream.range(0, IMAGE_NET_CLASSES).mapToObj(index -> "ImageNet class " + index).toList();
    }

    /**
     * The lines of a text file, one class each; blank lines do not count.
     *
     * @throws ConfigurationException if it cannot be read, or names no class or one twice
     */
    public static List<String> read(Path file) {
        if (Files.isDirectory(file)) {
            throw new ConfigurationException(
                    file + ": cannot be read: it is a folder, not a text file with one class a line.");
        }
        List<String> labels;
        try {
            labels = Files.readString(file).replaceFirst(BYTE_ORDER_MARK, "").lines().map(String::strip)
                    .filter(line -> !line.isEmpty()).toList();
        } catch (NoSuchFileException e) {
            throw new ConfigurationException(
                    file + ": cannot be read: there is no such file, nor a list of labels of that name; known are "
                            + String.join(", ", KNOWN.keySet().stream().sorted().toList()) + ".",
                    e);
        } catch (CharacterCodingException e) {
            throw new ConfigurationException(file + ": cannot be read: it is no text in UTF-8.", e);
        } catch (IOException e) {
            throw new ConfigurationException(file + ": cannot be read as a text file with one class a line ("
                    + e.getClass().getSimpleName() + ").", e);
        }
        if (labels.isEmpty()) {
            throw new ConfigurationException(file + ": names no class.");
        }
        Set<String> seen = new HashSet<>();
        labels.stream().filter(label -> !seen.add(label)).findFirst().ifPresent(label -> {
            throw new ConfigurationException(file + ": names the class '" + label + "' "
                    + Collections.frequency(labels, label) + " times.");
        });
        return labels;
    }
}

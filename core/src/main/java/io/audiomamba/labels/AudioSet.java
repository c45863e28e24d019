package io.audiomamba.labels;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;

/**
 * The 527 classes of AudioSet (Gemmeke et al. 2017), in the order that its models' scores have everywhere. The list is
 * Google's, licensed under CC BY 4.0.
 */
public final class AudioSet {

    private static final List<AudioSetClass> CLASSES = read();

    private AudioSet() {}

    /** Every class, by index. */
    public static List<AudioSetClass> classes() {
        return CLASSES;
    }

    /** The names of all classes, by index; all different. */
    public static List<String> names() {
        return CLASSES.stream().map(AudioSetClass::name).toList();
    }

    /** The class with this machine identifier. */
    public static Optional<AudioSetClass> byMachineId(String machineId) {
        return CLASSES.stream().filter(c -> c.machineId().equals(machineId)).findFirst();
    }

    private static List<AudioSetClass> read() {
        try (InputStream in = AudioSet.class.getResourceAsStream("audioset.tsv")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines()
                    .filter(line -> !line.startsWith("#")).map(line -> line.split("\t"))
                    .map(fields -> new AudioSetClass(Integer.parseInt(fields[0]), fields[1], fields[2])).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}

package io.audiomamba.data;

import io.audiomamba.audio.AudioLimits;
import io.audiomamba.audio.AudioReader;
import io.audiomamba.audio.AudioStream;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.ConfigurationException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Labelled clips.
 *
 * @param title   what to call it
 * @param labels  the classes
 * @param clips   in a fixed order
 * @param missing names of clips that the dataset lists but whose sound is not there; they are not among {@code clips}
 * @param ignored names of files that lie among the sounds but are not named as such; they are not among {@code clips}
 * @param sounds  reads a clip's samples
 */
public record Dataset(String title, List<String> labels, List<Clip> clips, List<String> missing, List<String> ignored,
        Sounds sounds) {

    /** How a clip's sound is read. Called by several threads at once. */
    public interface Sounds {

        /**
         * Mono samples of {@code clip}.
         *
         * @throws AudioException         with one sentence if it cannot be decoded
         * @throws ConfigurationException if the whole dataset is stored at another rate, or damaged
         */
        float[] read(Clip clip, int sampleRate);

        /**
         * Samples a second in which the clip is stored.
         *
         * @throws AudioException with one sentence if it cannot be decoded
         */
        int storedRate(Clip clip);

        /** Decodes the clip's file each time. */
        Sounds DECODED = new Sounds() {
            @Override
            public float[] read(Clip clip, int sampleRate) {
                return AudioReader.read(clip.file(), sampleRate).samples();
            }

            @Override
            public int storedRate(Clip clip) {
                try (AudioStream stream = AudioReader.open(clip.file(), 1, AudioLimits.DEFAULT)) {
                    return stream.storedRate();
                }
            }
        };
    }

    /** @throws ConfigurationException if there are no clips, or two of one name */
    public Dataset {
        labels = List.copyOf(labels);
        clips = List.copyOf(clips);
        missing = List.copyOf(missing);
        ignored = List.copyOf(ignored);
        if (clips.isEmpty()) {
            throw new ConfigurationException(title + ": there are no clips in it" + (missing.isEmpty()
                    ? "."
                    : ": none of the " + missing.size() + " that it lists is there, such as " + missing.getFirst()
                            + "."));
        }
        Set<String> names = new HashSet<>();
        clips.stream().filter(clip -> !names.add(clip.name())).findFirst().ifPresent(clip -> {
            throw new ConfigurationException(title + ": lists the clip " + clip.name() + " twice.");
        });
    }

    /** A dataset without other files among its sounds. */
    public Dataset(String title, List<String> labels, List<Clip> clips, List<String> missing, Sounds sounds) {
        this(title, labels, clips, missing, List.of(), sounds);
    }

    /**
     * Reads a dataset in any layout that this project knows: packed, ESC-50's, AudioSet's, a folder per class, or a CSV
     * manifest. The path {@code synthetic}, where there is no such file, is a dataset of sounds that are made up.
     *
     * @throws ConfigurationException with one sentence if it is none of these, or damaged
     */
    public static Dataset read(Path path) {
        if (path.equals(SyntheticSounds.NAME) && !Files.exists(path)) {
            return SyntheticSounds.dataset();
        }
        if (!Files.exists(path)) {
            throw new ConfigurationException(path + ": there is no such file or folder.");
        }
        if (PackedDataset.isAt(path)) {
            return PackedDataset.read(path);
        }
        if (Esc50.isAt(path)) {
            return Esc50.read(path);
        }
        if (AudioSetSegments.isAt(path)) {
            return AudioSetSegments.read(path);
        }
        if (Files.isRegularFile(path)) {
            return Manifest.read(path);
        }
        return ClassFolders.read(path);
    }

    /** What to call a dataset that lies at {@code path}. */
    static String titleOf(Path path) {
        Path name = path.toAbsolutePath().normalize().getFileName();
        return name == null ? path.toString() : name.toString();
    }

    /** A dataset of those {@code listed} clips whose file is there; the others are missing. */
    static Dataset ofFiles(String title, List<String> labels, List<Clip> listed) {
        var there = listed.stream().collect(Collectors.partitioningBy(clip -> Files.exists(clip.file())));
        return new Dataset(title, labels, there.get(true), there.get(false).stream().map(Clip::name).toList(),
                Sounds.DECODED);
    }

    /** Whether every clip has exactly one label. */
    public boolean isSingleLabel() {
        return clips.stream().allMatch(clip -> clip.labels().size() == 1);
    }

    /**
     * Equal for datasets of the same classes and clips with the same labels in the same folds, however they are stored; a
     * packed one lacks the clips that cannot be decoded.
     */
    public String fingerprint() {
        int hash = labels.hashCode();
        for (Clip clip : clips) {
            hash = 31 * hash + Objects.hash(clip.name(), clip.labels(), clip.fold());
        }
        return clips.size() + " clips, hash " + Integer.toHexString(hash);
    }

    /** The folds that there are, ascending. */
    public List<Integer> folds() {
        return clips.stream().map(Clip::fold).distinct().sorted().toList();
    }

    /** The classes that no clip has. */
    public List<String> emptyClasses() {
        BitSet seen = new BitSet(labels.size());
        clips.forEach(clip -> clip.labels().forEach(seen::set));
        return IntStream.range(0, labels.size()).filter(label -> !seen.get(label)).mapToObj(labels::get).toList();
    }

    /** The clips that satisfy {@code condition}, with all labels. */
    public Dataset where(Predicate<Clip> condition) {
        return new Dataset(title, labels, clips.stream().filter(condition).toList(), missing, ignored, sounds);
    }

    /**
     * The clips of one fold.
     *
     * @throws ConfigurationException naming the folds there are if it is not among them
     */
    public Dataset fold(int fold) {
        requireFold(fold);
        return where(clip -> clip.fold() == fold);
    }

    /**
     * The clips of all other folds, to train on.
     *
     * @throws ConfigurationException if there is no such fold, or if a class that occurs in it occurs in no other
     */
    public Dataset withoutFold(int fold) {
        requireFold(fold);
        Dataset rest = where(clip -> clip.fold() != fold);
        Set<String> learnt = new HashSet<>(rest.labels);
        learnt.removeAll(rest.emptyClasses());
        List<String> unlearnt = labels.stream()
                .filter(label -> !learnt.contains(label) && !emptyClasses().contains(label)).toList();
        if (!unlearnt.isEmpty()) {
            throw new ConfigurationException(title + ": without fold " + fold + " there is no clip of "
                    + String.join(", ", unlearnt) + " to train on.");
        }
        return rest;
    }

    private void requireFold(int fold) {
        if (folds().size() < 2) {
            throw new ConfigurationException(title + ": is not cut into folds.");
        }
        if (!folds().contains(fold)) {
            throw new ConfigurationException(title + ": there is no fold " + fold + "; there are "
                    + folds().stream().map(String::valueOf).collect(Collectors.joining(", ")) + ".");
        }
    }
}

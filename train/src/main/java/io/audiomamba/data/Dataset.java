package io.audiomamba.data;

import io.audiomamba.audio.AudioReader;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.ConfigurationException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;

/**
 * Labelled clips.
 *
 * @param title  what to call it
 * @param labels the classes
 * @param clips  in a fixed order
 * @param sounds reads a clip's samples
 */
public record Dataset(String title, List<String> labels, List<Clip> clips, Sounds sounds) {

    /** How a clip's sound is read. Called by several threads at once. */
    @FunctionalInterface
    public interface Sounds {

        /**
         * Mono samples of {@code clip}.
         *
         * @throws AudioException with one sentence if it cannot be decoded
         */
        float[] read(Clip clip, int sampleRate);

        /** Decodes the clip's file each time. */
        Sounds DECODED = (clip, sampleRate) -> AudioReader.read(clip.file(), sampleRate).samples();
    }

    /** @throws ConfigurationException if there are no clips */
    public Dataset {
        labels = List.copyOf(labels);
        clips = List.copyOf(clips);
        if (clips.isEmpty()) {
            throw new ConfigurationException(title + ": there are no clips in it.");
        }
    }

    /**
     * Reads a dataset in any layout that this project knows: packed, ESC-50's, a folder per class, or a CSV manifest.
     *
     * @throws ConfigurationException with one sentence if it is none of these, or damaged
     */
    public static Dataset read(Path path) {
        if (!Files.exists(path)) {
            throw new ConfigurationException(path + ": there is no such file or folder.");
        }
        if (PackedDataset.isAt(path)) {
            return PackedDataset.read(path);
        }
        if (Esc50.isAt(path)) {
            return Esc50.read(path);
        }
        if (Files.isRegularFile(path)) {
            return Manifest.read(path);
        }
        return ClassFolders.read(path);
    }

    /** Whether every clip has exactly one label. */
    public boolean isSingleLabel() {
        return clips.stream().allMatch(clip -> clip.labels().size() == 1);
    }

    /** The folds that there are, ascending. */
    public List<Integer> folds() {
        return clips.stream().map(Clip::fold).distinct().sorted().toList();
    }

    /** The clips that satisfy {@code condition}, with all labels. */
    public Dataset where(Predicate<Clip> condition) {
        return new Dataset(title, labels, clips.stream().filter(condition).toList(), sounds);
    }
}

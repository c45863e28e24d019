package io.audiomamba.train;

import io.audiomamba.error.ParseProblem;
import io.audiomamba.file.WholeFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.ObjectMapper;

/** The figures of all epochs, in memory, in {@code metrics.jsonl}, and for TensorBoard. */
final class TrainingHistory {

    private static final String LINES = "metrics.jsonl";
    private static final String EVENTS = "events.out.tfevents.audiomamba";
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path folder;
    private final List<EpochFigures> epochs = new ArrayList<>();

    /**
     * @param keep     so many epochs of the files in {@code folder} stay; those that were done after the state was saved
     *                 are done again
     * @param listener told of lines that are damaged, and left out
     */
    TrainingHistory(Path folder, int keep, TrainingListener listener) throws IOException {
        this.folder = folder;
        Path lines = folder.resolve(LINES);
        List<EpochFigures> kept = Files.exists(lines)
                ? read(lines, listener).stream().filter(epoch -> epoch.epoch() <= keep).toList()
                : List.of();
        WholeFile.write(lines, kept.stream().map(TrainingHistory::line).collect(Collectors.joining()));
        EventFile.begin(folder.resolve(EVENTS));
        for (EpochFigures epoch : kept) {
            note(epoch);
        }
    }

    private static List<EpochFigures> read(Path file, TrainingListener listener) throws IOException {
        List<EpochFigures> epochs = new ArrayList<>();
        // Whatever a power cut left there: not by Files.readAllLines, which reads nothing but text.
        List<String> lines = new String(Files.readAllBytes(file), StandardCharsets.UTF_8).lines().toList();
        for (String line : lines) {
            try {
                epochs.add(ParseProblem.required(JSON.readValue(line, EpochFigures.class)));
            } catch (JacksonException _) {
                listener.warning(file + ": a line is damaged, and the figures of its epoch are left out.");
            }
        }
        return epochs;
    }

    private static String line(EpochFigures epoch) {
        return JSON.writeValueAsString(epoch) + "\n";
    }

    /** The line is on the disk then: a state that is saved afterwards does not outlive it. */
    void add(EpochFigures epoch) throws IOException {
        Files.writeString(folder.resolve(LINES), line(epoch), StandardOpenOption.APPEND, StandardOpenOption.DSYNC);
        note(epoch);
    }

    private void note(EpochFigures epoch) throws IOException {
        epochs.add(epoch);
        EventFile.append(folder.resolve(EVENTS), epoch.epoch(), epoch.time(), epoch.scalars());
    }

    List<EpochFigures> epochs() {
        return Collections.unmodifiableList(epochs);
    }
}

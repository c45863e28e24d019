package io.audiomamba.train;

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
import tools.jackson.databind.ObjectMapper;

/** The figures of all epochs, in memory, in {@code metrics.jsonl}, and for TensorBoard. */
final class TrainingHistory {

    private static final String LINES = "metrics.jsonl";
    private static final String EVENTS = "events.out.tfevents.audiomamba";
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path folder;
    private final List<EpochFigures> epochs = new ArrayList<>();

    /**
     * @param keep so many epochs of the files in {@code folder} stay; those that were done after the state was saved are
     *             done again
     */
    TrainingHistory(Path folder, int keep) throws IOException {
        this.folder = folder;
        Path lines = folder.resolve(LINES);
        List<String> kept = Files.exists(lines) ? Files.readAllLines(lines).stream().limit(keep).toList() : List.of();
        String text = kept.stream().map(line -> line + "\n").collect(Collectors.joining());
        WholeFile.write(lines, text);
        EventFile.begin(folder.resolve(EVENTS));
        for (String line : kept) {
            note(JSON.readValue(line, EpochFigures.class));
        }
    }

    void add(EpochFigures epoch) throws IOException {
        Files.writeString(folder.resolve(LINES), JSON.writeValueAsString(epoch) + "\n", StandardOpenOption.APPEND);
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

package io.audiomamba.train;

import io.audiomamba.error.CheckpointException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How far a training has come.
 *
 * @param epochs  that are finished
 * @param steps   of the optimiser, since the beginning
 * @param batches of the epoch that was begun
 * @param trained those of these batches that were not empty
 * @param losses  their sum
 * @param clips   in them
 * @param skipped clips of the epoch that could not be read
 */
record Position(int epochs, long steps, int batches, int trained, double losses, int clips, int skipped) {

    static final Position START = new Position(0, 0, 0, 0, 0, 0, 0);

    Position afterBatch(double loss, int size, int unreadable, long allSteps) {
        return new Position(epochs, allSteps, batches + 1, trained + (size == 0 ? 0 : 1), losses + loss, clips + size,
                skipped + unreadable);
    }

    Position afterEpoch() {
        return new Position(epochs + 1, steps, 0, 0, 0, 0, 0);
    }

    Map<String, String> toMetadata() {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put("epochs", Integer.toString(epochs));
        metadata.put("steps", Long.toString(steps));
        metadata.put("batches", Integer.toString(batches));
        metadata.put("trained", Integer.toString(trained));
        metadata.put("losses", Double.toString(losses));
        metadata.put("clips", Integer.toString(clips));
        metadata.put("skipped", Integer.toString(skipped));
        return metadata;
    }

    /** @throws CheckpointException if something is missing */
    static Position of(String file, Map<String, String> metadata) {
        try {
            return new Position(Integer.parseInt(metadata.get("epochs")), Long.parseLong(metadata.get("steps")),
                    Integer.parseInt(metadata.get("batches")), Integer.parseInt(metadata.get("trained")),
                    Double.parseDouble(metadata.get("losses")), Integer.parseInt(metadata.get("clips")),
                    Integer.parseInt(metadata.get("skipped")));
        } catch (NumberFormatException | NullPointerException e) {
            throw new CheckpointException(file + ": is not the state of a training.", e);
        }
    }
}

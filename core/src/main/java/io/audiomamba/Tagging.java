package io.audiomamba;

import java.util.List;
import java.util.NoSuchElementException;

/**
 * What a model heard in a sound.
 *
 * @param seconds length of the sound
 * @param tags    of all classes, the most probable first
 */
public record Tagging(double seconds, List<Tag> tags) {

    public Tagging {
        tags = List.copyOf(tags);
    }

    /**
     * The {@code k} most probable tags, fewer if there are not so many.
     *
     * @throws IllegalArgumentException if {@code k} is not positive
     */
    public List<Tag> top(int k) {
        if (k < 1) {
            throw new IllegalArgumentException("the number of tags is " + k + " but must be 1 or more");
        }
        return tags.subList(0, Math.min(k, tags.size()));
    }

    /**
     * The tags with at least the given score, the most probable first.
     *
     * @throws IllegalArgumentException if {@code threshold} is not in [0, 1]
     */
    public List<Tag> above(double threshold) {
        if (!(threshold >= 0 && threshold <= 1)) {
            throw new IllegalArgumentException("the threshold is " + threshold + " but must be in [0, 1]");
        }
        return tags.stream().filter(tag -> tag.score() >= threshold).toList();
    }

    /**
     * The score of one class.
     *
     * @throws NoSuchElementException if the model does not know it
     */
    public double score(String label) {
        return tags.stream().filter(tag -> tag.label().equals(label)).findFirst()
                .orElseThrow(() -> new NoSuchElementException("there is no class '" + label + "'")).score();
    }
}

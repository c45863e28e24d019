package io.audiomamba.train;

import io.audiomamba.evaluation.Metrics;

/** Told how a training goes, on the thread that trains. */
public interface TrainingListener {

    /**
     * A batch that was trained on.
     *
     * @param epoch        its number, from 1
     * @param batch        its number in the epoch, from 1
     * @param batches      how many there are in an epoch
     * @param loss         its mean loss
     * @param learningRate at this moment
     * @param clips        in the batch
     */
    record Step(int epoch, int batch, int batches, double loss, double learningRate, int clips) {}

    /** After each batch. */
    void step(Step step);

    /** After each epoch, with its measures on held-out clips where there are any, else null. */
    void epoch(Trainer.Epoch epoch, Metrics metrics);

    /** A clip that cannot be read, told once; it is left out. {@code reason} is a sentence that names it. */
    void unreadable(String reason);

    /** Something that the user should know of, in one sentence. */
    void warning(String sentence);
}

package io.audiomamba;

/**
 * A class and how sure the model is that it sounds.
 *
 * @param label of the class
 * @param score its probability, in [0, 1]
 */
public record Tag(String label, double score) {}

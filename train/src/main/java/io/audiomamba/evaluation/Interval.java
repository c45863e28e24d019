package io.audiomamba.evaluation;

/**
 * Where a figure would lie with other clips of the same kind, with 95 % confidence.
 *
 * @param low  lower end
 * @param high upper end
 */
public record Interval(double low, double high) {}

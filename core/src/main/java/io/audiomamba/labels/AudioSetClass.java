package io.audiomamba.labels;

/**
 * One of the sounds that {@link AudioSet} distinguishes.
 *
 * @param index     place among the scores of every model that is trained on AudioSet, from 0
 * @param machineId identifier in Google's Knowledge Graph, such as {@code /m/0bt9lr}
 * @param name      for people, such as {@code Dog}
 */
public record AudioSetClass(int index, String machineId, String name) {}

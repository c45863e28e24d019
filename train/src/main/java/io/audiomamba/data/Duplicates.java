package io.audiomamba.data;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Clips that are the same sound.
 *
 * @param exact groups whose decoded samples are equal
 * @param near  other pairs that sound alike; null if there are too many clips to compare each with each
 */
public record Duplicates(List<List<Clip>> exact, List<Pair> near) {

    /** Above this many clips no near duplicates are looked for. */
    public static final int MOST_CLIPS = 50_000;

    /**
     * Two clips that are probably one sound in two encodings, levels or sample rates.
     *
     * @param distance of their spectrograms' outlines, in dB
     */
    public record Pair(Clip first, Clip second, double distance) {}

    /** @param outlines of the clips of {@code statistics}, in the same order */
    static Duplicates among(List<ClipStatistics> statistics, List<SoundOutline> outlines) {
        Map<String, List<Clip>> byHash = statistics.stream().collect(Collectors.groupingBy(ClipStatistics::hash,
                LinkedHashMap::new, Collectors.mapping(ClipStatistics::clip, Collectors.toList())));
        List<List<Clip>> exact = byHash.values().stream().filter(group -> group.size() > 1).toList();
        if (statistics.size() > MOST_CLIPS) {
            return new Duplicates(exact, null);
        }
        List<Pair> near = IntStream.range(0, outlines.size()).parallel().boxed()
                .flatMap(i -> IntStream.range(i + 1, outlines.size())
                        .filter(j -> !statistics.get(i).hash().equals(statistics.get(j).hash()))
                        .mapToObj(j -> new Pair(statistics.get(i).clip(), statistics.get(j).clip(),
                                outlines.get(i).distance(outlines.get(j))))
                        .filter(pair -> Double.isFinite(pair.distance())))
                .sorted(Comparator.comparingDouble(Pair::distance)).toList();
        return new Duplicates(exact, near);
    }
}

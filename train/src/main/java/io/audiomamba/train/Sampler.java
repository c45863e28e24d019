package io.audiomamba.train;

import io.audiomamba.data.Dataset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/** In which order the clips of a dataset are drawn in an epoch. */
final class Sampler {

    private final Dataset dataset;
    private final Recipe.Sampling sampling;
    private final List<List<Integer>> clipsByClass = new ArrayList<>();

    Sampler(Dataset dataset, Recipe.Sampling sampling) {
        this.dataset = dataset;
        this.sampling = sampling;
        dataset.labels().forEach(_ -> clipsByClass.add(new ArrayList<>()));
        for (int i = 0; i < dataset.clips().size(); i++) {
            for (int label : dataset.clips().get(i).labels()) {
                clipsByClass.get(label).add(i);
            }
        }
    }

    /** The numbers of as many clips as there are. */
    List<Integer> order(Random random) {
        return switch (sampling) {
            case SHUFFLE -> shuffled(random);
            case BALANCED -> inTurn(random);
            case WEIGHTED -> weighted(random);
        };
    }

    private List<Integer> shuffled(Random random) {
        List<Integer> all = new ArrayList<>(IntStream.range(0, dataset.clips().size()).boxed().toList());
        Collections.shuffle(all, random);
        return all;
    }

    /** HTS-AT's queue: rounds of all classes in random order, and each time any clip of the class. */
    private List<Integer> inTurn(Random random) {
        List<List<Integer>> classes = new ArrayList<>(
                clipsByClass.stream().filter(clips -> !clips.isEmpty()).toList());
        List<Integer> chosen = new ArrayList<>();
        while (chosen.size() < dataset.clips().size()) {
            Collections.shuffle(classes, random);
            classes.forEach(clips -> chosen.add(clips.get(random.nextInt(clips.size()))));
        }
        return chosen.subList(0, dataset.clips().size());
    }

    /** Each clip in proportion to the sum of 1000 / (n + 0.01) over its classes, n being a class's number of clips. */
    private List<Integer> weighted(Random random) {
        double[] cumulative = new double[dataset.clips().size()];
        double sum = 0;
        for (int i = 0; i < cumulative.length; i++) {
            for (int label : dataset.clips().get(i).labels()) {
                sum += 1000 / (clipsByClass.get(label).size() + 0.01);
            }
            cumulative[i] = sum;
        }
        List<Integer> chosen = new ArrayList<>();
        for (int i = 0; i < cumulative.length; i++) {
            int found = Arrays.binarySearch(cumulative, random.nextDouble() * sum);
            chosen.add(Math.min(found < 0 ? -found - 1 : found + 1, cumulative.length - 1));
        }
        return chosen;
    }
}

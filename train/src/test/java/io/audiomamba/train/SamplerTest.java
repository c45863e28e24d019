package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.data.Dataset;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SamplerTest {

    /** 0: a b, 1: b, 2 to 9: c. Files are never read. */
    private static Dataset dataset;

    @BeforeAll
    static void manifest(@TempDir Path folder) throws IOException {
        StringBuilder csv = new StringBuilder("file,labels\n0.wav,a;b\n1.wav,b\n");
        IntStream.range(2, 10).forEach(i -> csv.append(i).append(".wav,c\n"));
        for (int i = 0; i < 10; i++) {
            Files.createFile(folder.resolve(i + ".wav"));
        }
        dataset = Dataset.read(Files.writeString(folder.resolve("clips.csv"), csv.toString()));
    }

    private static List<Integer> order(Recipe.Sampling sampling, long seed) {
        return new Sampler(dataset, sampling).order(new Random(seed));
    }

    @Test
    void shuffleGivesEachClipOnce() {
        assertThat(order(Recipe.Sampling.SHUFFLE, 1))
                .containsExactlyInAnyOrder(IntStream.range(0, 10).boxed().toArray(Integer[]::new));
        assertThat(order(Recipe.Sampling.SHUFFLE, 1)).isEqualTo(order(Recipe.Sampling.SHUFFLE, 1))
                .isNotEqualTo(order(Recipe.Sampling.SHUFFLE, 2));
    }

    /** HTS-AT's queue: every three draws in a row are one of each class. */
    @Test
    void balancedGivesEachClassItsTurn() {
        for (int seed = 0; seed < 20; seed++) {
            List<Integer> order = order(Recipe.Sampling.BALANCED, seed);
            assertThat(order).hasSize(10);
            for (int round = 0; round < 9; round += 3) {
                List<Integer> drawn = order.subList(round, round + 3);
                assertThat(drawn.stream().filter(clip -> clip >= 2)).as("class c").hasSize(1);
                assertThat(drawn.stream().filter(clip -> clip == 0 || clip == 1)).as("classes a and b").hasSize(2);
                assertThat(drawn).as("class a").contains(0);
            }
        }
    }

    /** Weights 1000/1.01 + 1000/2.01, 1000/2.01, and eight of 1000/8.01. */
    @Test
    void weightedFollowsTheWeights() {
        int[] counts = new int[10];
        Random random = new Random(5);
        Sampler sampler = new Sampler(dataset, Recipe.Sampling.WEIGHTED);
        int epochs = 5000;
        for (int i = 0; i < epochs; i++) {
            sampler.order(random).forEach(clip -> counts[clip]++);
        }
        double first = 1000 / 1.01 + 1000 / 2.01;
        double second = 1000 / 2.01;
        double other = 1000 / 8.01;
        double sum = first + second + 8 * other;
        // The standard error of a share near one half of 50,000 draws is 0.0022.
        assertThat(counts[0] / (10.0 * epochs)).isCloseTo(first / sum, within(0.01));
        assertThat(counts[1] / (10.0 * epochs)).isCloseTo(second / sum, within(0.01));
        assertThat(counts[5] / (10.0 * epochs)).isCloseTo(other / sum, within(0.01));
    }

    @Test
    void everyWeightedClipIsDrawnSometimes() {
        HashSet<Integer> seen = new HashSet<>();
        Random random = new Random(2);
        IntStream.range(0, 200).forEach(_ -> seen.addAll(new Sampler(dataset, Recipe.Sampling.WEIGHTED).order(random)));
        assertThat(seen).hasSize(10);
    }
}

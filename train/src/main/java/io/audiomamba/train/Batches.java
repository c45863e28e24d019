package io.audiomamba.train;

import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;

/**
 * Batches of training clips, decoded and augmented by worker threads ahead of their use. What a batch holds follows
 * from the seed, the epoch and its position alone, not from the threads.
 */
final class Batches implements AutoCloseable {

    private static final int AHEAD = 3;

    /**
     * @param waveforms (size, window), row by row
     * @param targets   (size, classes), row by row
     */
    record Batch(float[] waveforms, float[] targets, int size) {}

    private final Dataset dataset;
    private final Recipe recipe;
    private final int sampleRate;
    private final int window;
    private final SoundAugmentation augmentation;
    private final ExecutorService workers;

    Batches(Dataset dataset, Recipe recipe, int sampleRate, int window) {
        this.dataset = dataset;
        this.recipe = recipe;
        this.sampleRate = sampleRate;
        this.window = window;
        this.augmentation = new SoundAugmentation(recipe.augment(), window);
        this.workers = Executors.newFixedThreadPool(recipe.train().workers(),
                Thread.ofPlatform().daemon().name("batches-", 0).factory());
    }

    /** Batches in an epoch: incomplete ones are left out, unless there is no other. */
    int count() {
        return Math.max(1, dataset.clips().size() / recipe.train().batchSize());
    }

    /** Hands every batch of {@code epoch} to {@code consumer}, in order. */
    void forEach(int epoch, Consumer<Batch> consumer) {
        SplittableRandom random = new SplittableRandom(recipe.train().seed() * 1_000_003 + epoch);
        List<Integer> order = order(new Random(random.nextLong()));
        Queue<Future<Batch>> ahead = new ArrayDeque<>();
        int size = Math.min(recipe.train().batchSize(), order.size());
        for (int i = 0; i < count(); i++) {
            List<Integer> chosen = order.subList(i * size, (i + 1) * size);
            SplittableRandom own = random.split();
            ahead.add(workers.submit(() -> batch(chosen, own)));
            if (ahead.size() > Math.max(AHEAD, recipe.train().workers())) {
                consumer.accept(result(ahead.remove()));
            }
        }
        ahead.forEach(future -> consumer.accept(result(future)));
    }

    private static Batch result(Future<Batch> future) {
        try {
            return future.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new IllegalStateException(e.getCause());
        }
    }

    private Batch batch(List<Integer> chosen, SplittableRandom random) {
        int classes = dataset.labels().size();
        float[] waveforms = new float[chosen.size() * window];
        float[] targets = new float[chosen.size() * classes];
        for (int i = 0; i < chosen.size(); i++) {
            Clip clip = dataset.clips().get(chosen.get(i));
            float[] samples = augmentation.apply(dataset.sounds().read(clip, sampleRate), random);
            System.arraycopy(samples, 0, waveforms, i * window, window);
            for (int label : clip.labels()) {
                targets[i * classes + label] = 1;
            }
        }
        return new Batch(waveforms, targets, chosen.size());
    }

    /** As many clips as there are, as the recipe's sampling draws them. */
    private List<Integer> order(Random random) {
        return switch (recipe.sampling()) {
            case SHUFFLE -> {
                List<Integer> all = new ArrayList<>();
                for (int i = 0; i < dataset.clips().size(); i++) {
                    all.add(i);
                }
                Collections.shuffle(all, random);
                yield all;
            }
            case BALANCED -> inTurn(random);
            case WEIGHTED -> weighted(random);
        };
    }

    private List<List<Integer>> clipsByClass() {
        List<List<Integer>> byClass = new ArrayList<>();
        dataset.labels().forEach(_ -> byClass.add(new ArrayList<>()));
        for (int i = 0; i < dataset.clips().size(); i++) {
            for (int label : dataset.clips().get(i).labels()) {
                byClass.get(label).add(i);
            }
        }
        return byClass;
    }

    /** HTS-AT's queue: the classes take turns, and each goes through its clips in random order. */
    private List<Integer> inTurn(Random random) {
        List<List<Integer>> queues = clipsByClass().stream().filter(queue -> !queue.isEmpty()).toList();
        queues.forEach(queue -> Collections.shuffle(queue, random));
        List<Integer> chosen = new ArrayList<>();
        for (int round = 0; chosen.size() < dataset.clips().size(); round++) {
            for (List<Integer> queue : queues) {
                chosen.add(queue.get(round % queue.size()));
            }
        }
        return chosen.subList(0, dataset.clips().size());
    }

    /** Each clip in proportion to the sum of 1000 / (n + 0.01) over its classes, n being a class's number of clips. */
    private List<Integer> weighted(Random random) {
        List<List<Integer>> byClass = clipsByClass();
        double[] cumulative = new double[dataset.clips().size()];
        double sum = 0;
        for (int i = 0; i < cumulative.length; i++) {
            for (int label : dataset.clips().get(i).labels()) {
                sum += 1000 / (byClass.get(label).size() + 0.01);
            }
            cumulative[i] = sum;
        }
        List<Integer> chosen = new ArrayList<>();
        for (int i = 0; i < cumulative.length; i++) {
            int found = java.util.Arrays.binarySearch(cumulative, random.nextDouble() * sum);
            chosen.add(Math.min(found < 0 ? -found - 1 : found, cumulative.length - 1));
        }
        return chosen;
    }

    @Override
    public void close() {
        workers.shutdownNow();
    }
}

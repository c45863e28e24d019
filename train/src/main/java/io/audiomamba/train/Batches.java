package io.audiomamba.train;

import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.AudioException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Queue;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Batches of training clips, decoded and augmented by worker threads ahead of their use. What a batch holds follows
 * from the seed, the epoch and its position alone, not from the threads. Clips that cannot be read are left out.
 */
final class Batches implements AutoCloseable {

    private static final int AHEAD = 3;

    /**
     * @param waveforms  (size, window), row by row
     * @param targets    (size, classes), row by row
     * @param size       clips that it holds
     * @param unreadable names of clips that are missing in it, and why
     */
    record Batch(float[] waveforms, float[] targets, int size, Map<String, String> unreadable) {}

    private final Dataset dataset;
    private final Recipe recipe;
    private final int sampleRate;
    private final int window;
    private final SoundAugmentation augmentation;
    private final Sampler sampler;
    private final ExecutorService workers;

    Batches(Dataset dataset, Recipe recipe, int sampleRate, int window) {
        this.dataset = dataset;
        this.recipe = recipe;
        this.sampleRate = sampleRate;
        this.window = window;
        this.augmentation = new SoundAugmentation(recipe.augment(), window);
        this.sampler = new Sampler(dataset, recipe.sampling());
        this.workers = Executors.newFixedThreadPool(recipe.train().workers(),
                Thread.ofPlatform().daemon().name("batches-", 0).factory());
    }

    /** Batches in an epoch: incomplete ones are left out, unless there is no other. */
    int count() {
        return Math.max(1, dataset.clips().size() / recipe.train().batchSize());
    }

    /** The batches of {@code epoch} from number {@code first} on, in order. */
    Iterator<Batch> of(int epoch, int first) {
        SplittableRandom random = new SplittableRandom(recipe.train().seed() * 1_000_003 + epoch);
        List<Integer> order = sampler.order(new Random(random.nextLong()));
        int size = Math.min(recipe.train().batchSize(), order.size());
        List<Callable<Batch>> tasks = new ArrayList<>();
        for (int i = 0; i < count(); i++) {
            List<Integer> chosen = order.subList(i * size, (i + 1) * size);
            SplittableRandom own = random.split();
            tasks.add(() -> batch(chosen, own));
        }
        return new ReadAhead(tasks.subList(first, tasks.size()).iterator());
    }

    private Batch batch(List<Integer> chosen, SplittableRandom random) {
        int classes = dataset.labels().size();
        float[] waveforms = new float[chosen.size() * window];
        float[] targets = new float[chosen.size() * classes];
        Map<String, String> unreadable = new LinkedHashMap<>();
        int size = 0;
        for (int i : chosen) {
            Clip clip = dataset.clips().get(i);
            try {
                float[] samples = augmentation.apply(dataset.sounds().read(clip, sampleRate), random);
                System.arraycopy(samples, 0, waveforms, size * window, window);
            } catch (AudioException e) {
                unreadable.put(clip.name(), e.getMessage());
                continue;
            }
            for (int label : clip.labels()) {
                targets[size * classes + label] = 1;
            }
            size++;
        }
        return new Batch(Arrays.copyOf(waveforms, size * window), Arrays.copyOf(targets, size * classes), size,
                unreadable);
    }

    @Override
    public void close() {
        workers.shutdownNow();
    }

    /** Keeps the workers some batches ahead. */
    private final class ReadAhead implements Iterator<Batch> {

        private final Iterator<Callable<Batch>> tasks;
        private final Queue<Future<Batch>> ahead = new ArrayDeque<>();

        ReadAhead(Iterator<Callable<Batch>> tasks) {
            this.tasks = tasks;
        }

        @Override
        public boolean hasNext() {
            return !ahead.isEmpty() || tasks.hasNext();
        }

        @Override
        public Batch next() {
            while (tasks.hasNext() && ahead.size() <= Math.max(AHEAD, recipe.train().workers())) {
                ahead.add(workers.submit(tasks.next()));
            }
            if (ahead.isEmpty()) {
                throw new NoSuchElementException();
            }
            try {
                return ahead.remove().get();
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
    }
}

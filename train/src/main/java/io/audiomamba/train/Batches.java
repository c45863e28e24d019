package io.audiomamba.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.AudioException;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.torch.Tensors;
import java.lang.foreign.MemorySegment;
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
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Batches of training clips, decoded and augmented by worker threads ahead of their use. What a batch holds follows
 * from the seed, the epoch and its position alone, not from the threads. Clips that cannot be read are left out.
 */
final class Batches implements AutoCloseable {

    private static final int AHEAD = 3;

    /**
     * @param waveforms  (size, window), on the CPU
     * @param targets    (size, classes), on the CPU
     * @param unreadable names of clips that are missing in it, and why
     */
    record Batch(Tensor waveforms, Tensor targets, Map<String, String> unreadable) implements AutoCloseable {

        /** How many clips it holds. */
        int size() {
            return (int) waveforms.size(0);
        }

        @Override
        public void close() {
            waveforms.releaseReference();
            targets.releaseReference();
        }
    }

    private final Dataset dataset;
    private final Recipe recipe;
    private final int sampleRate;
    private final int window;
    /** Whether batches lie in memory that a GPU reads by itself. */
    private final boolean pinned;
    private final SoundAugmentation augmentation;
    private final Sampler sampler;
    private final ExecutorService workers;

    /** @param device that the batches will go to */
    Batches(Dataset dataset, Recipe recipe, FrontEnd frontEnd, Device device) {
        this.dataset = dataset;
        this.recipe = recipe;
        this.sampleRate = frontEnd.sampleRate();
        this.window = frontEnd.windowSamples();
        this.pinned = device.is_cuda();
        this.augmentation = new SoundAugmentation(recipe.augment());
        this.sampler = new Sampler(dataset, recipe.sampling());
        this.workers = Executors.newFixedThreadPool(recipe.train().workers(),
                Thread.ofPlatform().daemon().name("batches-", 0).factory());
    }

    /** Batches in an epoch: incomplete ones are left out, unless there is no other. */
    int count() {
        return Math.max(1, dataset.clips().size() / recipe.train().batchSize());
    }

    /** Clips in a batch, of which those that cannot be read are missing. */
    int size() {
        return Math.min(recipe.train().batchSize(), dataset.clips().size());
    }

    /** The batches of {@code epoch} from number {@code first} on, in order. */
    Iterator<Batch> of(int epoch, int first) {
        SplittableRandom random = new SplittableRandom(recipe.train().seed() * 1_000_003 + epoch);
        List<Integer> order = sampler.order(new Random(random.nextLong()));
        int size = size();
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
        float[] targets = new float[chosen.size() * classes];
        Map<String, String> unreadable = new LinkedHashMap<>();
        int size = 0;
        Tensor waveforms = memory(chosen.size(), window);
        MemorySegment rows = Tensors.memory(waveforms);
        float[] samples = new float[window];
        for (int i : chosen) {
            Clip clip = dataset.clips().get(i);
            try {
                augmentation.apply(dataset.sounds().read(clip, sampleRate), random, samples);
                MemorySegment.copy(samples, 0, rows, JAVA_FLOAT, (long) size * window * Float.BYTES, window);
            } catch (AudioException e) {
                unreadable.put(clip.name(), e.getMessage());
                continue;
            }
            for (int label : clip.labels()) {
                targets[size * classes + label] = 1;
            }
            size++;
        }
        Tensor labels = memory(chosen.size(), classes);
        MemorySegment.copy(targets, 0, Tensors.memory(labels), JAVA_FLOAT, 0, targets.length);
        return new Batch(first(size, waveforms), first(size, labels), unreadable);
    }

    private Tensor memory(long... shape) {
        try (var _ = new PointerScope()) {
            TensorOptions options = new TensorOptions(ScalarType.Float).pinned_memory(new BoolOptional(pinned));
            return Tensors.permanent(torch.empty(shape, options, null));
        }
    }

    /** The first rows of {@code tensor}, which is given up for them. */
    private static Tensor first(int rows, Tensor tensor) {
        if (rows == tensor.size(0)) {
            return tensor;
        }
        try (var _ = new PointerScope()) {
            return Tensors.permanent(tensor.narrow(0, 0, rows));
        } finally {
            tensor.releaseReference();
        }
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

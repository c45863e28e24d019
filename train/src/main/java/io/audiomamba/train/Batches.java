package io.audiomamba.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.AudioException;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.torch.DeviceStream;
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
import java.util.Optional;
import java.util.Queue;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Batches of training clips, decoded and augmented by worker threads, and brought to their device by one more, ahead of
 * their use. What a batch holds follows from the seed, the epoch and its position alone, not from the threads. Clips
 * that cannot be read are left out.
 */
final class Batches implements AutoCloseable {

    private static final int AHEAD = 2;

    /**
     * To be closed only when the device is done with it: its memory then goes to a batch that is on its way.
     *
     * @param waveforms  (size, window), on the device
     * @param targets    (size, classes), on the device
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
    private final Device device;
    private final SoundAugmentation augmentation;
    private final Sampler sampler;
    private final ExecutorService workers;
    /** Its thread has a stream of its own, so that a GPU computes meanwhile. */
    private final ExecutorService carrier;
    /** A worker's sound, before it goes into a batch. */
    private final ThreadLocal<float[]> sound;

    /** @param device that the batches will go to */
    Batches(Dataset dataset, Recipe recipe, FrontEnd frontEnd, Device device) {
        this.dataset = dataset;
        this.recipe = recipe;
        this.sampleRate = frontEnd.sampleRate();
        this.window = frontEnd.windowSamples();
        this.device = device;
        this.augmentation = new SoundAugmentation(recipe.augment());
        this.sampler = new Sampler(dataset, recipe.sampling());
        this.sound = ThreadLocal.withInitial(() -> new float[window]);
        this.workers = Executors.newFixedThreadPool(recipe.train().workers(),
                Thread.ofPlatform().daemon().name("batches-", 0).factory());
        this.carrier = Executors
                .newSingleThreadExecutor(work -> Thread.ofPlatform().daemon().name("carrier").unstarted(() -> {
                    try (var _ = new DeviceStream(device)) {
                        work.run();
                    }
                }));
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
        List<Supplier<Pending>> tasks = new ArrayList<>();
        for (int i = 0; i < count(); i++) {
            List<Integer> chosen = order.subList(i * size, (i + 1) * size);
            SplittableRandom own = random.split();
            tasks.add(() -> new Pending(chosen, own));
        }
        return new ReadAhead(tasks.subList(first, tasks.size()).iterator());
    }

    /** A batch whose clips the workers share. */
    private final class Pending {

        private final int classes = dataset.labels().size();
        private final List<Clip> clips;
        private final Tensor waveforms;
        private final MemorySegment rows;
        /** For each clip nothing, or why it cannot be read. */
        private final List<Future<Optional<String>>> failures = new ArrayList<>();

        Pending(List<Integer> chosen, SplittableRandom random) {
            clips = chosen.stream().map(dataset.clips()::get).toList();
            waveforms = memory(clips.size(), window);
            rows = Tensors.memory(waveforms);
            for (int row = 0; row < clips.size(); row++) {
                int at = row;
                SplittableRandom own = random.split();
                failures.add(workers.submit(() -> read(at, own)));
            }
        }

        private Optional<String> read(int row, SplittableRandom random) {
            float[] samples = sound.get();
            try {
                augmentation.apply(dataset.sounds().read(clips.get(row), sampleRate), random, samples);
            } catch (AudioException e) {
                return Optional.of(e.getMessage());
            }
            MemorySegment.copy(samples, 0, rows, JAVA_FLOAT, start(row), window);
            return Optional.empty();
        }

        private long start(int row) {
            return (long) row * window * Float.BYTES;
        }

        /** The batch on its device, without the clips that cannot be read, once the workers are done with it. */
        Batch get() throws InterruptedException, ExecutionException {
            float[] targets = new float[clips.size() * classes];
            Map<String, String> unreadable = new LinkedHashMap<>();
            int size = 0;
            for (int row = 0; row < clips.size(); row++) {
                Optional<String> failure = failures.get(row).get();
                if (failure.isPresent()) {
                    unreadable.put(clips.get(row).name(), failure.get());
                    continue;
                }
                if (size < row) {
                    MemorySegment.copy(rows, start(row), rows, start(size), start(1));
                }
                for (int label : clips.get(row).labels()) {
                    targets[size * classes + label] = 1;
                }
                size++;
            }
            Tensor labels = memory(clips.size(), classes);
            MemorySegment.copy(targets, 0, Tensors.memory(labels), JAVA_FLOAT, 0, targets.length);
            return new Batch(onDevice(first(size, waveforms)), onDevice(first(size, labels)), unreadable);
        }
    }

    /** Of the CPU; a GPU reads it by itself. */
    private Tensor memory(long... shape) {
        try (var _ = new PointerScope()) {
            TensorOptions options = new TensorOptions(ScalarType.Float)
                    .pinned_memory(new BoolOptional(device.is_cuda()));
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

    /** A tensor where it is needed; {@code tensor} is given up for it. */
    private Tensor onDevice(Tensor tensor) {
        if (!device.is_cuda()) {
            return tensor;
        }
        try (var _ = new PointerScope()) {
            return Tensors.permanent(tensor.to(device, ScalarType.Float));
        } finally {
            tensor.releaseReference();
        }
    }

    @Override
    public void close() {
        carrier.shutdownNow();
        workers.shutdownNow();
    }

    /** Keeps the workers some batches ahead. */
    private final class ReadAhead implements Iterator<Batch> {

        private final Iterator<Supplier<Pending>> tasks;
        private final Queue<Future<Batch>> ahead = new ArrayDeque<>();

        ReadAhead(Iterator<Supplier<Pending>> tasks) {
            this.tasks = tasks;
        }

        @Override
        public boolean hasNext() {
            return !ahead.isEmpty() || tasks.hasNext();
        }

        @Override
        public Batch next() {
            while (tasks.hasNext() && ahead.size() <= AHEAD) {
                ahead.add(carrier.submit(tasks.next().get()::get));
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

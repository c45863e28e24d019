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
import java.util.Optional;
import java.util.Queue;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Batches of training clips, ahead of their use: worker threads decode and augment, and for a GPU one more makes of that
 * what the model meets. What a batch holds follows from the seed, the epoch and its position alone, not from the
 * threads. Clips that cannot be read are left out.
 */
final class Batches implements AutoCloseable {

    /** Batches on their way while one is in use. */
    private static final int AHEAD = 2;

    /** What makes of the sounds of a batch, (size, window), and their targets, (size, classes), what the model meets. */
    @FunctionalInterface
    interface Preparation {

        /**
         * To be called by any thread.
         *
         * @param number of the batch in its epoch, from 0
         */
        Objective.Examples of(Mixing.Examples sounds, int epoch, int number);
    }

    /**
     * To be closed only when the device is done with it: its memory then goes to a batch that is on its way.
     *
     * @param examples   nothing if it holds no clip
     * @param unreadable names of clips that are missing in it, and why
     */
    record Batch(Optional<Objective.Examples> examples, Map<String, String> unreadable) implements AutoCloseable {

        /** How many clips it holds. */
        int size() {
            return examples.map(all -> (int) all.targets().size(0)).orElse(0);
        }

        @Override
        public void close() {
            examples.ifPresent(Objective.Examples::close);
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
    private final Preparation preparation;
    /** Prepares in a stream of its own what a GPU trains on next; on a CPU, null, that is done when it is asked for. */
    private final ExecutorService preparer;
    /** A worker's sound, before it goes into a batch. */
    private final ThreadLocal<float[]> sound;
    /** Begun and not yet asked for. */
    private final Queue<Pending> ahead = new ArrayDeque<>();
    private Iterator<Pending> coming;

    /** @param device where {@code preparation} wants the sounds */
    Batches(Dataset dataset, Recipe recipe, FrontEnd frontEnd, Device device, Preparation preparation) {
        this.preparation = preparation;
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
        this.preparer = device.is_cuda() ? Executors.newSingleThreadExecutor(this::preparing) : null;
    }

    private Thread preparing(Runnable work) {
        return Thread.ofPlatform().daemon().name("preparer").unstarted(() -> {
            try (var _ = new DeviceStream(device)) {
                work.run();
            }
        });
    }

    /** Batches in an epoch: incomplete ones are left out, unless there is no other. */
    int count() {
        return Math.max(1, dataset.clips().size() / recipe.train().batchSize());
    }

    /** Clips in a batch, of which those that cannot be read are missing. */
    int size() {
        return Math.min(recipe.train().batchSize(), dataset.clips().size());
    }

    /**
     * The batch with this number in its epoch. Those behind it, of the next epoch too, are then on their way: whoever asks
     * for one after the other need hardly wait.
     */
    Batch get(int epoch, int number) {
        if (ahead.isEmpty() || !ahead.peek().isFor(epoch, number)) {
            discardAhead();
            coming = from(epoch, number);
        }
        while (ahead.size() <= AHEAD && coming.hasNext()) {
            Pending next = coming.next();
            next.start();
            ahead.add(next);
            if (preparer != null) {
                preparer.execute(next.batch);
            }
        }
        return ahead.remove().get();
    }

    private void discardAhead() {
        while (!ahead.isEmpty()) {
            ahead.remove().discard();
        }
    }

    /** From this one on all batches of the training, or at least of {@code epoch}. */
    private Iterator<Pending> from(int epoch, int number) {
        return IntStream.iterate(epoch, e -> e == epoch || e < recipe.train().epochs(), e -> e + 1).boxed()
                .flatMap(e -> of(e).stream()).skip(number).iterator();
    }

    private List<Pending> of(int epoch) {
        SplittableRandom random = new SplittableRandom(recipe.train().seed() * 1_000_003 + epoch);
        List<Integer> order = sampler.order(new Random(random.nextLong()));
        List<Pending> batches = new ArrayList<>();
        for (int number = 0; number < count(); number++) {
            batches.add(new Pending(epoch, number, order.subList(number * size(), (number + 1) * size()),
                    random.split()));
        }
        return batches;
    }

    /** A batch whose clips the workers share. */
    private final class Pending {

        private final int classes = dataset.labels().size();
        private final int epoch;
        private final int number;
        private final List<Integer> chosen;
        private final SplittableRandom random;
        /** Runs in the thread of the preparer, or else of whoever wants the batch. */
        final FutureTask<Batch> batch = new FutureTask<>(this::finish);
        private volatile boolean unwanted;
        private Tensor waveforms;
        private MemorySegment rows;
        /** For each clip nothing, or why it cannot be read. */
        private final List<Future<Optional<String>>> failures = new ArrayList<>();

        Pending(int epoch, int number, List<Integer> chosen, SplittableRandom random) {
            this.epoch = epoch;
            this.number = number;
            this.chosen = chosen;
            this.random = random;
        }

        boolean isFor(int wantedEpoch, int wantedNumber) {
            return epoch == wantedEpoch && number == wantedNumber;
        }

        /** Gives the clips to the workers. */
        void start() {
            waveforms = memory(chosen.size());
            rows = Tensors.memory(waveforms);
            for (int row = 0; row < chosen.size(); row++) {
                int at = row;
                SplittableRandom own = random.split();
                failures.add(workers.submit(() -> read(at, own)));
            }
        }

        private Clip clip(int row) {
            return dataset.clips().get(chosen.get(row));
        }

        private Optional<String> read(int row, SplittableRandom random) {
            if (unwanted) {
                return Optional.empty();
            }
            float[] samples = sound.get();
            try {
                augmentation.apply(dataset.sounds().read(clip(row), sampleRate), random, samples);
            } catch (AudioException e) {
                return Optional.of(e.getMessage());
            }
            MemorySegment.copy(samples, 0, rows, JAVA_FLOAT, start(row), window);
            return Optional.empty();
        }

        private long start(int row) {
            return (long) row * window * Float.BYTES;
        }

        /** The batch, once it is done. */
        Batch get() {
            batch.run(); // which does nothing if the preparer has begun
            return Futures.result(batch);
        }

        /** Gives its memory back, once no thread uses that any more. A batch that nobody wants may fail unheard. */
        void discard() {
            unwanted = true;
            try {
                get().close();
            } catch (RuntimeException | Error _) {
                return;
            }
        }

        /** The batch without the clips that cannot be read, once the workers are done with it. */
        private Batch finish() {
            float[] targets = new float[chosen.size() * classes];
            Map<String, String> unreadable = new LinkedHashMap<>();
            int size = 0;
            for (int row = 0; row < chosen.size(); row++) {
                Optional<String> failure = Futures.result(failures.get(row));
                if (failure.isPresent()) {
                    unreadable.put(clip(row).name(), failure.get());
                    continue;
                }
                if (size < row) {
                    MemorySegment.copy(rows, start(row), rows, start(size), start(1));
                }
                for (int label : clip(row).labels()) {
                    targets[size * classes + label] = 1;
                }
                size++;
            }
            try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
                return new Batch(size == 0 || unwanted ? Optional.empty() : Optional.of(prepared(size, targets)),
                        unreadable);
            } finally {
                waveforms.releaseReference();
            }
        }

        private Objective.Examples prepared(int size, float[] targets) {
            Objective.Examples examples = preparation.of(new Mixing.Examples(onDevice(waveforms, size),
                    onDevice(Tensors.of(targets, chosen.size(), classes), size)), epoch, number).permanent();
            DeviceStream.finish(device);
            return examples;
        }

        /** The first rows of {@code tensor} where they are needed. */
        private Tensor onDevice(Tensor tensor, int size) {
            return tensor.narrow(0, 0, size).to(device, ScalarType.Float);
        }
    }

    /** A window for each of so many sounds, in the CPU's memory; a GPU reads it by itself. */
    private Tensor memory(int sounds) {
        try (var _ = new PointerScope()) {
            TensorOptions options = new TensorOptions(ScalarType.Float)
                    .pinned_memory(new BoolOptional(device.is_cuda()));
            return Tensors.permanent(torch.empty(new long[] {sounds, window}, options, null));
        }
    }

    /** Waits for all threads: none must use the GPU, or memory of ours, when the process ends. */
    @Override
    public void close() {
        discardAhead();
        workers.close();
        if (preparer != null) {
            preparer.close();
        }
    }
}

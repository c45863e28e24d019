package io.audiomamba;

import io.audiomamba.audio.AudioLimits;
import io.audiomamba.audio.AudioReader;
import io.audiomamba.audio.AudioStream;
import io.audiomamba.audio.Waveform;
import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.Description;
import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.AudioMambaException;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.Parameters;
import io.audiomamba.model.Pass;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.MemoryShortage;
import io.audiomamba.torch.Natives;
import io.audiomamba.torch.Tensors;
import java.lang.ref.Cleaner;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Names what is heard in a sound.
 *
 * <pre>{@code
 * try (AudioTagger tagger = AudioTagger.load(Path.of("model.safetensors"))) {
 *     Tagging heard = tagger.tag(Path.of("clip.ogg"));
 *     heard.top(3).forEach(tag -> System.out.println(tag.label() + " " + tag.score()));
 * }
 * }</pre>
 *
 * <p>A sound that is longer than the model's window (10 s) is read window by window, in constant memory; its scores are
 * the means of the windows', each weighted by its length. All methods may be called by several threads at once.
 */
public final class AudioTagger implements AutoCloseable {

    private static final Cleaner CLEANER = Cleaner.create();

    private final String name;
    private final AudioLimits limits;
    private final Device device;
    private final Description description;
    private final FrontEnd frontEnd;
    private final AudioMamba model;
    private final Pass pass;
    private final ReadWriteLock lock = new ReentrantReadWriteLock();
    private final Cleaner.Cleanable weights;
    private boolean closed;

    private AudioTagger(Checkpoint checkpoint, TaggerOptions options) {
        Natives.loadTorch(); // here it can fail with one sentence, in a class initialiser it cannot
        device = Devices.named(options.device());
        device.retainReference(); // a scope of the caller's may end before this tagger does
        name = checkpoint.name();
        limits = options.limits();
        description = checkpoint.description();
        frontEnd = FrontEnd.named(description.frontEnd(), device);
        pass = new Pass(ScanKernels.best(device), false);
        Checkpoint.Loaded loaded = checkpoint.load();
        model = loaded.model();
        Parameters parameters = loaded.parameters();
        weights = CLEANER.register(this, parameters::close);
        parameters.to(device);
    }

    /** {@link #load(Path, TaggerOptions)} with the {@linkplain TaggerOptions#DEFAULT usual options}. */
    public static AudioTagger load(Path file) {
        return load(file, TaggerOptions.DEFAULT);
    }

    /**
     * Loads a model.
     *
     * @param file a checkpoint of this project
     * @throws AudioMambaException with one sentence if that cannot be done
     */
    public static AudioTagger load(Path file, TaggerOptions options) {
        try (Checkpoint checkpoint = Checkpoint.open(file)) {
            return load(checkpoint, options);
        }
    }

    /** {@link #load(String, TaggerOptions)} with the {@linkplain TaggerOptions#DEFAULT usual options}. */
    public static AudioTagger load(String name) {
        return load(name, TaggerOptions.DEFAULT);
    }

    /**
     * Loads a model.
     *
     * @param name of a {@linkplain Models known model}, or a file
     * @throws AudioMambaException with one sentence if that cannot be done
     */
    public static AudioTagger load(String name, TaggerOptions options) {
        try (Checkpoint checkpoint = Models.open(name)) {
            return load(checkpoint, options);
        }
    }

    private static AudioTagger load(Checkpoint checkpoint, TaggerOptions options) {
        try {
            return new AudioTagger(checkpoint, options);
        } catch (RuntimeException e) {
            throw MemoryShortage.translated(e);
        }
    }

    /** The classes, in the model's order. */
    public List<String> labels() {
        return description.labels();
    }

    /** Everything that the model's checkpoint says of itself. */
    public Description description() {
        return description;
    }

    /**
     * Tags the sound of a file of any supported format, channels, sample rate and length.
     *
     * @throws AudioException        with one sentence if there is no sound that can be decoded, or it exceeds a limit
     * @throws EnvironmentException  if the device has no memory left
     * @throws IllegalStateException if this tagger is closed
     */
    public Tagging tag(Path file) {
        Mean mean = new Mean();
        try (AudioStream stream = AudioReader.open(file, frontEnd.sampleRate(), limits)) {
            float[] window = new float[frontEnd.windowSamples()];
            for (int count = stream.read(window); count > 0; count = stream.read(window)) {
                mean.add(scores(Arrays.copyOf(window, count)), count);
            }
        }
        return mean.tagging();
    }

    /**
     * Tags a sound of any sample rate and length.
     *
     * @throws AudioException        if it has no samples, one of them is not a finite number, or it exceeds a limit
     * @throws EnvironmentException  if the device has no memory left
     * @throws IllegalStateException if this tagger is closed
     */
    public Tagging tag(Waveform sound) {
        limits.require("The waveform", sound);
        float[] samples = AudioReader.resample(sound, frontEnd.sampleRate()).samples();
        if (samples.length == 0) {
            throw new AudioException("The waveform has no samples.");
        }
        Mean mean = new Mean();
        for (int from = 0, length; from < samples.length; from += length) {
            length = Math.min(samples.length - from, frontEnd.windowSamples());
            mean.add(scores(Arrays.copyOfRange(samples, from, from + length)), length);
        }
        return mean.tagging();
    }

    /** The probabilities of all classes in one window. */
    private double[] scores(float[] samples) {
        for (int i = 0; i < samples.length; i++) {
            if (!Float.isFinite(samples[i])) {
                throw new AudioException(
                        "Sample " + i + " of the waveform is " + samples[i] + ", not a finite number.");
            }
        }
        float[] window = frontEnd.fit(samples);
        lock.readLock().lock();
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            if (closed) {
                throw new IllegalStateException("this tagger is closed");
            }
            Tensor waveform = Tensors.of(window, 1, window.length).to(device, ScalarType.Float);
            Tensor features = frontEnd.apply(waveform);
            return probabilities(Tensors.toDoubles(model.forward(features, pass).clip()));
        } catch (RuntimeException e) {
            throw MemoryShortage.translated(e);
        } finally {
            lock.readLock().unlock();
        }
    }

    private double[] probabilities(double[] logits) {
        double[] scaled = Arrays.stream(logits).map(logit -> logit / description.temperature()).toArray();
        if (!Arrays.stream(scaled).allMatch(Double::isFinite)) {
            throw new CheckpointException(
                    name + ": the model's scores are not finite numbers, so its weights are damaged.");
        }
        if (description.activation() == Activation.SIGMOID) {
            return Arrays.stream(scaled).map(x -> 1 / (1 + Math.exp(-x))).toArray();
        }
        double largest = Arrays.stream(scaled).max().orElseThrow();
        double[] powers = Arrays.stream(scaled).map(x -> Math.exp(x - largest)).toArray();
        double sum = Arrays.stream(powers).sum();
        return Arrays.stream(powers).map(power -> power / sum).toArray();
    }

    /** Scores of windows, weighted by their length. */
    private final class Mean {

        private final double[] sums = new double[description.labels().size()];
        private long samples;

        void add(double[] scores, int length) {
            for (int i = 0; i < sums.length; i++) {
                sums[i] += scores[i] * length;
            }
            samples += length;
        }

        Tagging tagging() {
            List<Tag> tags = IntStream.range(0, sums.length)
                    .mapToObj(i -> new Tag(description.labels().get(i), Math.min(1, sums[i] / samples)))
                    .sorted(Comparator.comparingDouble(Tag::score).reversed()).toList();
            return new Tagging((double) samples / frontEnd.sampleRate(), tags);
        }
    }

    /** Frees the weights; waits for calls that are under way. Later calls fail; closing again does nothing. */
    @Override
    public void close() {
        lock.writeLock().lock();
        try {
            closed = true;
            weights.clean();
        } finally {
            lock.writeLock().unlock();
        }
    }
}

package io.audiomamba.evaluation;

import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.Pass;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Runs a model over datasets, batch by batch. */
public final class Evaluator {

    private static final int BATCH = 16;

    private final AudioMamba model;
    private final FrontEnd frontEnd;
    private final Device device;
    private final Pass pass;
    private final Supplier<? extends RuntimeException> notFinite;

    /**
     * What became of the clips of a dataset. The targets are of the dataset's classes, the logits of the model's.
     *
     * @param plain    of the clips as they are
     * @param shifted  the means of the logits of cyclic shifts of each clip
     * @param failures clips that could not be decoded, and why: they are in neither
     */
    public record Outcome(Predictions plain, Predictions shifted, Map<String, String> failures) {}

    /** For a model whose weights are on {@code device}. */
    public Evaluator(AudioMamba model, FrontEnd frontEnd, Device device) {
        this(model, frontEnd, device, () -> new CheckpointException(
                "The model's scores are not finite numbers: its weights are damaged."));
    }

    /**
     * For a model whose weights are on {@code device}.
     *
     * @param notFinite makes what is thrown if the model's scores are not finite
     */
    public Evaluator(AudioMamba model, FrontEnd frontEnd, Device device,
            Supplier<? extends RuntimeException> notFinite) {
        this.notFinite = notFinite;
        this.model = model;
        this.frontEnd = frontEnd;
        this.device = device;
        this.pass = new Pass(ScanKernels.best(device), false);
    }

    /** {@link #predict(Dataset, int, BiConsumer)} without a word on the way. */
    public Outcome predict(Dataset dataset, int shifts) {
        return predict(dataset, shifts, (_, _) -> {});
    }

    /**
     * Hears the first window of every clip.
     *
     * @param shifts   how many cyclic shifts of the window, evenly over it, {@link Outcome#shifted} averages; 1 for none
     * @param progress told the number of clips done and of all
     * @throws AudioException      if no clip can be decoded
     * @throws CheckpointException if the model's scores are not finite and nothing else is to be thrown then
     */
    public Outcome predict(Dataset dataset, int shifts, BiConsumer<Integer, Integer> progress) {
        return predict(dataset, shifts, progress, () -> false).orElseThrow();
    }

    /**
     * {@link #predict(Dataset, int, BiConsumer)}, which may be stopped.
     *
     * @param stop asked before each batch
     * @return nothing if {@code stop} said so
     */
    public Optional<Outcome> predict(Dataset dataset, int shifts, BiConsumer<Integer, Integer> progress,
            BooleanSupplier stop) {
        int all = dataset.clips().size();
        List<Clip> heard = new ArrayList<>();
        List<float[]> plain = new ArrayList<>();
        List<float[]> shifted = new ArrayList<>();
        Map<String, String> failures = new LinkedHashMap<>();
        for (int from = 0; from < all; from += BATCH) {
            if (stop.getAsBoolean()) {
                return Optional.empty();
            }
            List<Clip> clips = dataset.clips().subList(from, Math.min(all, from + BATCH));
            float[][] windows = windows(dataset, clips, failures);
            List<Clip> decoded = clips.stream().filter(clip -> !failures.containsKey(clip.name())).toList();
            if (!decoded.isEmpty()) {
                heard.addAll(decoded);
                predict(windows, shifts, plain, shifted);
            }
            progress.accept(from + clips.size(), all);
        }
        if (heard.isEmpty()) {
            throw new AudioException(dataset.title() + ": none of the " + all + " clips can be decoded, such as "
                    + failures.values().iterator().next());
        }
        int classes = dataset.labels().size();
        return Optional.of(new Outcome(Predictions.of(heard, classes, plain.toArray(float[][]::new)),
                Predictions.of(heard, classes, shifted.toArray(float[][]::new)), failures));
    }

    private float[][] windows(Dataset dataset, List<Clip> clips, Map<String, String> failures) {
        String[] reasons = new String[clips.size()];
        float[][] windows = IntStream.range(0, clips.size()).parallel().mapToObj(i -> {
            try {
                float[] samples = dataset.sounds().read(clips.get(i), frontEnd.sampleRate());
                return frontEnd.fit(Arrays.copyOf(samples, Math.min(samples.length, frontEnd.windowSamples())));
            } catch (AudioException e) {
                reasons[i] = e.getMessage();
                return null;
            }
        }).toArray(float[][]::new);
        for (int i = 0; i < reasons.length; i++) {
            if (reasons[i] != null) {
                failures.put(clips.get(i).name(), reasons[i]);
            }
        }
        return Arrays.stream(windows).filter(window -> window != null).toArray(float[][]::new);
    }

    /** Adds a row for each window to {@code plain} and {@code shifted}. */
    private void predict(float[][] windows, int shifts, List<float[]> plain, List<float[]> shifted) {
        float[][] first = null;
        float[][] sums = null;
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            List<Tensor> waveforms = Arrays.stream(windows)
                    .map(window -> Tensors.of(window, 1, window.length).to(device, ScalarType.Float)).toList();
            for (int shift = 0; shift < shifts; shift++) {
                float[][] logits = logits(waveforms, (double) shift / shifts);
                first = first == null ? logits : first;
                sums = sums == null ? logits : sum(sums, logits);
            }
        }
        plain.addAll(List.of(first));
        for (float[] row : sums) {
            float[] mean = row.clone();
            for (int c = 0; c < mean.length; c++) {
                mean[c] /= shifts;
            }
            shifted.add(mean);
        }
    }

    /** (batch, classes) of the waveforms, each rolled by {@code shift} of its length. */
    private float[][] logits(List<Tensor> waveforms, double shift) {
        try (var _ = new PointerScope()) {
            // One by one: not every front end brings all sounds to one length, but all images are of one size.
            Tensor[] images = waveforms.stream()
                    .map(waveform -> frontEnd
                            .apply(waveform.roll(new long[] {Math.round(shift * waveform.size(1))}, 1)))
                    .toArray(Tensor[]::new);
            float[] flat = Tensors.toFloats(model.forward(torch.cat(new TensorVector(images), 0), pass).clip());
            for (float logit : flat) {
                if (!Float.isFinite(logit)) {
                    throw notFinite.get();
                }
            }
            int classes = flat.length / images.length;
            return IntStream.range(0, images.length)
                    .mapToObj(i -> Arrays.copyOfRange(flat, i * classes, (i + 1) * classes)).toArray(float[][]::new);
        }
    }

    private static float[][] sum(float[][] a, float[][] b) {
        float[][] sum = new float[a.length][a[0].length];
        for (int i = 0; i < a.length; i++) {
            for (int c = 0; c < a[i].length; c++) {
                sum[i][c] = a[i][c] + b[i][c];
            }
        }
        return sum;
    }
}

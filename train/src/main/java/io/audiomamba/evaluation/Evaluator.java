package io.audiomamba.evaluation;

import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.model.AudioMamba;
import io.audiomamba.model.Pass;
import io.audiomamba.scan.ScanKernels;
import io.audiomamba.torch.Tensors;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

/** Runs a model over datasets, batch by batch. */
public final class Evaluator {

    private static final int BATCH = 16;

    private final AudioMamba model;
    private final FrontEnd frontEnd;
    private final Device device;
    private final Pass pass;

    /** For a model whose weights are on {@code device}. */
    public Evaluator(AudioMamba model, FrontEnd frontEnd, Device device) {
        this.model = model;
        this.frontEnd = frontEnd;
        this.device = device;
        this.pass = new Pass(ScanKernels.best(device), false);
    }

    /**
     * Hears the first window of every clip.
     *
     * @param shifts the means of the logits of so many cyclic shifts, evenly over the window, are taken; 1 for none
     */
    public Predictions predict(Dataset dataset, int shifts) {
        float[][] logits = new float[dataset.clips().size()][];
        for (int from = 0; from < logits.length; from += BATCH) {
            List<Clip> clips = dataset.clips().subList(from, Math.min(logits.length, from + BATCH));
            float[][] batch = predict(windows(dataset, clips), shifts);
            System.arraycopy(batch, 0, logits, from, batch.length);
        }
        return Predictions.of(dataset, logits);
    }

    private float[][] windows(Dataset dataset, List<Clip> clips) {
        return IntStream.range(0, clips.size()).parallel().mapToObj(i -> {
            float[] samples = dataset.sounds().read(clips.get(i), frontEnd.sampleRate());
            return frontEnd.fit(Arrays.copyOf(samples, Math.min(samples.length, frontEnd.windowSamples())));
        }).toArray(float[][]::new);
    }

    private float[][] predict(float[][] windows, int shifts) {
        int length = windows[0].length;
        float[] joined = new float[windows.length * length];
        for (int i = 0; i < windows.length; i++) {
            System.arraycopy(windows[i], 0, joined, i * length, length);
        }
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            Tensor waveforms = Tensors.of(joined, windows.length, length).to(device,
                    org.bytedeco.pytorch.global.torch.ScalarType.Float);
            float[] sums = null;
            for (int shift = 0; shift < shifts; shift++) {
                long samples = (long) shift * length / shifts;
                try (var _ = new PointerScope()) {
                    Tensor shifted = shift == 0 ? waveforms : waveforms.roll(new long[] {samples}, 1);
                    float[] logits = Tensors.toFloats(model.forward(frontEnd.apply(shifted), pass).clip());
                    sums = sums == null ? logits : sum(sums, logits);
                }
            }
            int classes = sums.length / windows.length;
            float[][] means = new float[windows.length][classes];
            for (int i = 0; i < sums.length; i++) {
                means[i / classes][i % classes] = sums[i] / shifts;
            }
            return means;
        }
    }

    private static float[] sum(float[] a, float[] b) {
        float[] sum = new float[a.length];
        for (int i = 0; i < sum.length; i++) {
            sum[i] = a[i] + b[i];
        }
        return sum;
    }
}

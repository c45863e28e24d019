package io.audiomamba.data;

import io.audiomamba.audio.AudioReader;
import io.audiomamba.audio.Waveform;
import io.audiomamba.error.AudioException;
import io.audiomamba.frontend.FrontEnd;
import io.audiomamba.frontend.LogMel;
import io.audiomamba.torch.Devices;
import io.audiomamba.torch.Tensors;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;

/**
 * What a dataset holds, after every clip was decoded.
 *
 * @param dataset    the dataset
 * @param clips      of the clips that can be decoded
 * @param failures   the others by name, and why
 * @param duplicates among the clips
 * @param frontEnd   what a model is given
 */
public record DatasetStatistics(Dataset dataset, List<ClipStatistics> clips, Map<String, String> failures,
        Duplicates duplicates, FrontEndStatistics frontEnd) {

    private static final int BATCH = 64;

    /**
     * Decodes every clip.
     *
     * @param frontEndName the {@link FrontEnd#name() name} of the front end whose values are summed up
     * @param progress     told the number of clips done and of all
     * @throws AudioException if no clip can be decoded
     */
    public static DatasetStatistics of(Dataset dataset, String frontEndName, BiConsumer<Integer, Integer> progress) {
        FrontEnd frontEnd = FrontEnd.named(frontEndName, Devices.cpu());
        FrontEndStatistics.Sums sums = new FrontEndStatistics.Sums(frontEndName);
        LogMel logMel = new LogMel(Devices.cpu());
        List<ClipStatistics> statistics = new ArrayList<>();
        List<SoundOutline> outlines = new ArrayList<>();
        Map<String, String> failures = new LinkedHashMap<>();
        int all = dataset.clips().size();
        for (int from = 0; from < all; from += BATCH) {
            List<Clip> batch = dataset.clips().subList(from, Math.min(all, from + BATCH));
            for (Decoded decoded : decode(dataset.sounds(), batch)) {
                if (decoded.failure != null) {
                    failures.put(decoded.clip.name(), decoded.failure);
                    continue;
                }
                statistics.add(ClipStatistics.of(decoded.clip, decoded.sound.samples(), decoded.sound.sampleRate()));
                Image heard = image(frontEnd, decoded.sound);
                sums.add(heard.values, heard.bins);
                Image outline = frontEnd instanceof LogMel ? heard : image(logMel, decoded.sound);
                outlines.add(new SoundOutline(outline.values));
            }
            progress.accept(from + batch.size(), all);
        }
        if (statistics.isEmpty()) {
            throw new AudioException(dataset.title() + ": none of the " + all + " clips can be decoded, such as "
                    + failures.values().iterator().next());
        }
        return new DatasetStatistics(dataset, statistics, failures, Duplicates.among(statistics, outlines),
                sums.statistics());
    }

    /** A clip and its sound, or why there is none. */
    private record Decoded(Clip clip, Waveform sound, String failure) {}

    private static List<Decoded> decode(Dataset.Sounds sounds, List<Clip> clips) {
        return IntStream.range(0, clips.size()).parallel().mapToObj(i -> {
            Clip clip = clips.get(i);
            try {
                int rate = sounds.storedRate(clip);
                return new Decoded(clip, new Waveform(sounds.read(clip, rate), rate), null);
            } catch (AudioException e) {
                return new Decoded(clip, null, e.getMessage());
            }
        }).toList();
    }

    /** Frames of so many bins, one after the other. */
    private record Image(float[] values, int bins) {}

    /** What a model is given of a sound: its first window. */
    private static Image image(FrontEnd frontEnd, Waveform sound) {
        float[] samples = AudioReader.resample(sound, frontEnd.sampleRate()).samples();
        float[] window = frontEnd.fit(Arrays.copyOf(samples, Math.min(samples.length, frontEnd.windowSamples())));
        try (var _ = new PointerScope(); var _ = new NoGradGuard()) {
            Tensor image = frontEnd.apply(Tensors.of(window, 1, window.length));
            return new Image(Tensors.toFloats(image), (int) image.size(2));
        }
    }

    /** By class: how many clips of {@code fold} have it. */
    public int[] counts(int fold) {
        int[] counts = new int[dataset.labels().size()];
        dataset.clips().stream().filter(clip -> clip.fold() == fold)
                .forEach(clip -> clip.labels().forEach(label -> counts[label]++));
        return counts;
    }
}

package io.audiomamba.data;

import io.audiomamba.audio.AudioReader;
import io.audiomamba.audio.Waveform;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.Safetensors;
import io.audiomamba.checkpoint.TensorFile;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.AudioMambaException;
import io.audiomamba.error.ConfigurationException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiConsumer;
import java.util.stream.IntStream;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.ObjectMapper;

/**
 * A dataset that was decoded once: int16 samples at one rate in safetensors shards, memory-mapped when read, and
 * {@code index.json} with the rest. In a shard each tensor is a clip, under the clip's name.
 */
public final class PackedDataset {

    private static final int CLIPS_PER_SHARD = 256;
    private static final float SCALE = 32767;
    private static final String INDEX = "index.json";
    private static final String RATE = "sample_rate";
    private static final ObjectMapper JSON = new ObjectMapper();

    /** The content of {@code index.json}. */
    record Index(String title, int sampleRate, List<String> labels, List<Entry> clips) {}

    record Entry(String name, String shard, List<Integer> labels, int fold) {}

    private PackedDataset() {}

    static boolean isAt(Path folder) {
        return Files.isRegularFile(folder.resolve(INDEX));
    }

    static Dataset read(Path folder) {
        Index index;
        try {
            index = JSON.readValue(folder.resolve(INDEX).toFile(), Index.class);
        } catch (JacksonException e) {
            throw new ConfigurationException(folder.resolve(INDEX) + ": is damaged: " + e.getOriginalMessage() + ".",
                    e);
        }
        List<Clip> clips = index.clips().stream().map(
                entry -> new Clip(entry.name(), folder.resolve(entry.shard()), entry.labels(), entry.fold())).toList();
        Map<Path, TensorFile> shards = new ConcurrentHashMap<>();
        return new Dataset(index.title(), index.labels(), clips,
                (clip, sampleRate) -> samples(shards.computeIfAbsent(clip.file(), Safetensors::open), clip,
                        index.sampleRate(), sampleRate));
    }

    private static float[] samples(TensorFile shard, Clip clip, int storedRate, int sampleRate) {
        RawTensor tensor = shard.tensors().get(clip.name());
        if (tensor == null || tensor.type() != DType.I16) {
            throw new AudioException(clip.file() + ": does not hold the clip " + clip.name() + "; pack it again.");
        }
        short[] stored = tensor.data().toArray(ValueLayout.JAVA_SHORT_UNALIGNED);
        float[] samples = new float[stored.length];
        for (int i = 0; i < samples.length; i++) {
            samples[i] = stored[i] / SCALE;
        }
        return AudioReader.resample(new Waveform(samples, storedRate), sampleRate).samples();
    }

    /**
     * Packs {@code dataset} into {@code folder}. A shard that is there already is kept, so that an interrupted call can
     * be repeated; the index is written last.
     *
     * @param progress told the number of clips done and of all
     * @return clips that could not be decoded, which are left out, and why
     * @throws AudioMambaException if nothing can be written
     */
    public static Map<String, String> write(Dataset dataset, Path folder, int sampleRate,
            BiConsumer<Integer, Integer> progress) {
        List<Entry> entries = new ArrayList<>();
        Map<String, String> failures = new LinkedHashMap<>();
        try {
            Files.createDirectories(folder);
            int clips = dataset.clips().size();
            for (int from = 0; from < clips; from += CLIPS_PER_SHARD) {
                List<Clip> part = dataset.clips().subList(from, Math.min(clips, from + CLIPS_PER_SHARD));
                String shard = "shard-%05d.safetensors".formatted(from / CLIPS_PER_SHARD);
                for (Clip clip : writeShard(dataset, part, folder.resolve(shard), sampleRate, failures)) {
                    entries.add(new Entry(clip.name(), shard, clip.labels(), clip.fold()));
                }
                progress.accept(from + part.size(), clips);
            }
            Index index = new Index(dataset.title(), sampleRate, dataset.labels(), entries);
            Path temporary = folder.resolve(INDEX + ".part");
            Files.writeString(temporary, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(index),
                    StandardCharsets.UTF_8);
            Files.move(temporary, folder.resolve(INDEX), StandardCopyOption.REPLACE_EXISTING,
                    StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new ConfigurationException(folder + ": cannot be written (" + e.getMessage() + ").", e);
        }
        return failures;
    }

    /** @return the clips that the shard holds */
    private static List<Clip> writeShard(Dataset dataset, List<Clip> clips, Path shard, int sampleRate,
            Map<String, String> failures) {
        Map<String, String> metadata = Map.of(RATE, Integer.toString(sampleRate));
        if (Files.exists(shard)) {
            try (TensorFile written = Safetensors.open(shard)) {
                List<Clip> held = clips.stream().filter(clip -> written.tensors().containsKey(clip.name())).toList();
                if (written.metadata().equals(metadata) && held.size() == written.tensors().size()
                        && !held.isEmpty()) {
                    return held;
                }
            }
        }
        RawTensor[] decoded = new RawTensor[clips.size()];
        String[] reasons = new String[clips.size()];
        IntStream.range(0, clips.size()).parallel().forEach(i -> {
            try {
                decoded[i] = encode(dataset.sounds().read(clips.get(i), sampleRate));
            } catch (AudioException e) {
                reasons[i] = e.getMessage();
            }
        });
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        for (int i = 0; i < decoded.length; i++) {
            if (decoded[i] == null) {
                failures.put(clips.get(i).name(), reasons[i]);
            } else {
                tensors.put(clips.get(i).name(), decoded[i]);
            }
        }
        Safetensors.write(shard, tensors, metadata);
        return clips.stream().filter(clip -> tensors.containsKey(clip.name())).toList();
    }

    private static RawTensor encode(float[] samples) {
        short[] stored = new short[samples.length];
        for (int i = 0; i < samples.length; i++) {
            stored[i] = (short) Math.round(SCALE * Math.clamp(samples[i], -1f, 1f));
        }
        byte[] bytes = new byte[2 * stored.length];
        MemorySegment.copy(MemorySegment.ofArray(stored), 0, MemorySegment.ofArray(bytes), 0, bytes.length);
        return new RawTensor(DType.I16, List.of((long) stored.length), MemorySegment.ofArray(bytes));
    }
}

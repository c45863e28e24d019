package io.audiomamba.data;

import com.fasterxml.jackson.annotation.Nulls;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.Safetensors;
import io.audiomamba.checkpoint.SafetensorsWriter;
import io.audiomamba.checkpoint.TensorFile;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.AudioMambaException;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.ParseProblem;
import io.audiomamba.file.WholeFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiConsumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.ObjectMapper;
import tools.jackson.databind.json.JsonMapper;

/**
 * A dataset that was decoded once: int16 samples at one rate in safetensors shards, memory-mapped when read, and
 * {@code index.json} with the rest. In a shard each tensor is a clip, under the clip's name; the metadata note the file that
 * it was packed from.
 */
public final class PackedDataset implements Dataset.Sounds {

    private static final int CLIPS_PER_SHARD = 256;
    /** How many are in memory at once while they are packed. */
    private static final int CLIPS_AT_ONCE = 2 * Runtime.getRuntime().availableProcessors();
    private static final int LOWEST_RATE = 1_000;
    private static final int HIGHEST_RATE = 384_000;
    private static final float SCALE = 32767;
    private static final String INDEX = "index.json";
    private static final String SHARD = "shard-\\d{5}\\.safetensors";
    /** What is in a packed folder, or was left in one by a call that was interrupted. */
    private static final String OURS = "(index\\.json|" + SHARD + ")(\\..+\\.part)?";
    private static final String RATE = "sample_rate";
    /** Before a clip's name: which file it was packed from. */
    private static final String SOURCE = "source of ";
    private static final ObjectMapper JSON = JsonMapper.builder()
            .changeDefaultNullHandling(nulls -> nulls.withContentNulls(Nulls.FAIL)).build();
    /** Unmaps the shards of datasets that nobody uses any more. */
    private static final Cleaner CLEANER = Cleaner.create();

    /** The content of {@code index.json}. */
    record Index(String title, int sampleRate, List<String> labels, List<Entry> clips) {}

    record Entry(String name, String shard, List<Integer> labels, int fold) {

        private boolean isSound(int classes) {
            return name != null && shard != null && shard.matches(SHARD) && labels != null && !labels.isEmpty()
                    && labels.stream().allMatch(label -> label >= 0 && label < classes);
        }
    }

    private final Path folder;
    private final int rate;
    private final Map<Path, TensorFile> shards = new ConcurrentHashMap<>();

    private PackedDataset(Path folder, int rate) {
        this.folder = folder;
        this.rate = rate;
        Map<Path, TensorFile> mapped = shards; // a lambda that knew this would keep it
        CLEANER.register(this, () -> mapped.values().forEach(TensorFile::close));
    }

    static boolean isAt(Path folder) {
        return Files.isRegularFile(folder.resolve(INDEX));
    }

    static Dataset read(Path folder) {
        Index index = readIndex(folder);
        List<Clip> clips = index.clips().stream().map(
                entry -> new Clip(entry.name(), folder.resolve(entry.shard()), entry.labels(), entry.fold())).toList();
        return new Dataset(index.title(), index.labels(), clips, List.of(),
                new PackedDataset(folder, index.sampleRate()));
    }

    private static Index readIndex(Path folder) {
        Path file = folder.resolve(INDEX);
        try {
            Index index = ParseProblem.required(JSON.readValue(file.toFile(), Index.class));
            boolean sound = index.title() != null && index.sampleRate() > 0 && index.labels() != null
                    && index.clips() != null
                    && index.clips().stream().allMatch(clip -> clip.isSound(index.labels().size()));
            if (!sound) {
                throw new ConfigurationException(
                        file + ": is damaged: it is not an index that 'audiomamba pack' writes.");
            }
            return index;
        } catch (JacksonException e) {
            throw new ConfigurationException(file + ": is damaged: " + ParseProblem.of(e) + ".", e);
        }
    }

    @Override
    public int storedRate(Clip clip) {
        return rate;
    }

    @Override
    public float[] read(Clip clip, int sampleRate) {
        if (sampleRate != rate) {
            throw new ConfigurationException(folder + ": is packed at " + rate + " Hz, but the model hears "
                    + sampleRate + " Hz; pack the data again with --rate " + sampleRate + ".");
        }
        try {
            RawTensor tensor = shards.computeIfAbsent(clip.file(), PackedDataset::shard).tensors().get(clip.name());
            if (tensor == null || tensor.type() != DType.I16 || tensor.data().byteSize() == 0) {
                throw new AudioException(clip.file() + ": does not hold the clip " + clip.name() + "; pack it again.");
            }
            short[] stored = tensor.data().toArray(ValueLayout.JAVA_SHORT_UNALIGNED);
            float[] samples = new float[stored.length];
            for (int i = 0; i < samples.length; i++) {
                samples[i] = stored[i] / SCALE;
            }
            return samples;
        } finally {
            Reference.reachabilityFence(this); // until here the shard must stay mapped
        }
    }

    private static TensorFile shard(Path file) {
        try {
            return Safetensors.open(file);
        } catch (CheckpointException e) {
            throw new ConfigurationException(
                    "The packed dataset is damaged; delete it and pack the data again: " + e.getMessage(), e);
        }
    }

    /**
     * Packs {@code dataset} into {@code folder}. Clips that are in a shard already are kept, so that an interrupted call
     * can be repeated. Nothing is overwritten if one of them is of another file. The index is written last; after it shards
     * are deleted that an earlier call needed for more clips, unless some are missing, which may come back.
     *
     * @param folder     new, empty or begun by an earlier call on the same files
     * @param sampleRate in [1000, 384000] Hz
     * @param progress   told the number of clips done and of all
     * @return clips that could not be decoded, which are left out, and why
     * @throws AudioMambaException if nothing can be written, the folder holds something else, such as a clip of another
     *                             file, or the rate makes no sense
     */
    public static Map<String, String> write(Dataset dataset, Path folder, int sampleRate,
            BiConsumer<Integer, Integer> progress) {
        if (sampleRate < LOWEST_RATE || sampleRate > HIGHEST_RATE) {
            throw new ConfigurationException("The sample rate is " + sampleRate + " Hz but must be " + LOWEST_RATE
                    + " to " + HIGHEST_RATE + ".");
        }
        if (isAt(folder)) {
            Index index = readIndex(folder);
            if (index.sampleRate() != sampleRate || !index.title().equals(dataset.title())) {
                throw new ConfigurationException(folder + ": holds " + index.title() + " at " + index.sampleRate()
                        + " Hz; pack " + dataset.title() + " at " + sampleRate + " Hz into another folder.");
            }
        }
        List<Entry> entries = new ArrayList<>();
        Map<String, String> failures = new LinkedHashMap<>();
        try {
            WholeFile.createFolder(folder);
            requireNothingElse(folder);
            WholeFile.deleteUnfinished(folder);
            int clips = dataset.clips().size();
            Map<Path, List<Clip>> shards = new LinkedHashMap<>();
            for (int from = 0; from < clips; from += CLIPS_PER_SHARD) {
                String name = String.format(Locale.ROOT, "shard-%05d.safetensors", from / CLIPS_PER_SHARD);
                shards.put(folder.resolve(name),
                        dataset.clips().subList(from, Math.min(clips, from + CLIPS_PER_SHARD)));
            }
            requireSameSources(shards, sampleRate);
            int done = 0;
            for (Map.Entry<Path, List<Clip>> shard : shards.entrySet()) {
                List<Clip> part = shard.getValue();
                String name = shard.getKey().getFileName().toString();
                Map<String, String> failed = writeShard(dataset.sounds(), part, shard.getKey(), sampleRate);
                part.stream().filter(clip -> !failed.containsKey(clip.name())).forEach(
                        clip -> entries.add(new Entry(clip.name(), name, clip.labels(), clip.fold())));
                failures.putAll(failed);
                done += part.size();
                progress.accept(done, clips);
            }
            if (entries.isEmpty()) {
                throw new ConfigurationException(dataset.title() + ": none of its clips can be decoded, such as "
                        + failures.values().iterator().next());
            }
            Index index = new Index(dataset.title(), sampleRate, dataset.labels(), entries);
            WholeFile.write(folder.resolve(INDEX), JSON.writerWithDefaultPrettyPrinter().writeValueAsString(index));
            if (dataset.missing().isEmpty()) {
                deleteShardsBut(shards.keySet(), folder);
            }
        } catch (IOException e) {
            throw WholeFile.unwritable(folder, e);
        }
        return failures;
    }

    /** Files beside the shards, hidden ones apart, would be taken for the packed dataset's from then on. */
    private static void requireNothingElse(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            files.map(Path::getFileName).map(Path::toString)
                    .filter(name -> !name.startsWith(".") && !name.matches(OURS))
                    .sorted().findFirst()
                    .ifPresent(name -> {
                        throw new ConfigurationException(folder + ": holds other files, such as " + name
                                + "; pack into a folder of its own.");
                    });
        }
    }

    /** What has changed in the last shard's sounds is to be known before the first shard is overwritten. */
    private static void requireSameSources(Map<Path, List<Clip>> shards, int sampleRate) throws IOException {
        for (Map.Entry<Path, List<Clip>> shard : shards.entrySet()) {
            if (Files.exists(shard.getKey())) {
                try (TensorFile old = shard(shard.getKey())) {
                    held(old, shard.getKey(), shard.getValue(), metadata(shard.getValue(), sampleRate));
                }
            }
        }
    }

    private static void deleteShardsBut(Set<Path> shards, Path folder) throws IOException {
        try (DirectoryStream<Path> others = Files.newDirectoryStream(folder,
                file -> file.getFileName().toString().matches(SHARD) && !shards.contains(file))) {
            for (Path file : others) {
                Files.delete(file);
            }
        }
    }

    private static Map<String, String> metadata(List<Clip> clips, int sampleRate) throws IOException {
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put(RATE, Integer.toString(sampleRate));
        for (Clip clip : clips) {
            if (Files.exists(clip.file())) { // synthetic sounds have none
                metadata.put(SOURCE + clip.name(), source(clip.file()));
            }
        }
        return metadata;
    }

    /** Makes the shard hold {@code clips}; returns those that cannot be decoded, and why. */
    private static Map<String, String> writeShard(Dataset.Sounds sounds, List<Clip> clips, Path file,
            int sampleRate) throws IOException {
        Map<String, String> metadata = metadata(clips, sampleRate); // anew: packing takes long, and a file may change
        Map<String, String> failed = new LinkedHashMap<>();
        try (SafetensorsWriter writer = new SafetensorsWriter(file)) {
            Set<String> before;
            // What is held is read from the file itself, which is closed again before it is replaced.
            try (TensorFile old = Files.exists(file) ? shard(file) : null) {
                Map<String, RawTensor> held = old == null ? Map.of() : held(old, file, clips, metadata);
                before = Set.copyOf(held.keySet());
                if (before.equals(clips.stream().map(Clip::name).collect(Collectors.toSet()))) {
                    return Map.of();
                }
                for (int from = 0; from < clips.size(); from += CLIPS_AT_ONCE) {
                    List<Clip> part = clips.subList(from, Math.min(clips.size(), from + CLIPS_AT_ONCE));
                    add(part, sounds, sampleRate, held, writer, failed);
                }
            }
            Set<String> now = Set.copyOf(writer.names());
            if (!now.containsAll(before)) {
                // Other shards get what this one drops: until they have it, there is no index that could be taken for true.
                Files.deleteIfExists(file.resolveSibling(INDEX));
            }
            if (!before.equals(now)) {
                writer.finish(metadata);
            }
        }
        return failed;
    }

    /** What tells a file from another of its name, or from itself before it changed, without reading it. */
    private static String source(Path file) throws IOException {
        return Files.size(file) + " bytes of " + Files.getLastModifiedTime(file);
    }

    /** The clips that an earlier call put into the shard, unless it did so at another rate. */
    private static Map<String, RawTensor> held(TensorFile old, Path file, List<Clip> clips,
            Map<String, String> metadata) {
        if (!metadata.get(RATE).equals(old.metadata().get(RATE))) {
            return Map.of();
        }
        Map<String, RawTensor> held = new HashMap<>(old.tensors());
        for (Clip clip : clips) {
            String source = SOURCE + clip.name();
            String noted = old.metadata().get(source);
            if (noted == null && metadata.containsKey(source)) {
                held.remove(clip.name()); // packed before sources were noted, so perhaps from another file
            } else if (held.containsKey(clip.name()) && !Objects.equals(noted, metadata.get(source))) {
                throw new ConfigurationException(file.getParent() + ": holds the clip " + clip.name()
                        + " of another file (" + noted + ") than " + clip.file() + " is now ("
                        + metadata.getOrDefault(source, "gone")
                        + "); delete that folder and pack the data again, or pack into another one.");
            }
        }
        return held;
    }

    /** Adds clips to a shard, as they are held already or else decoded side by side. */
    private static void add(List<Clip> clips, Dataset.Sounds sounds, int sampleRate, Map<String, RawTensor> held,
            SafetensorsWriter writer, Map<String, String> failed) {
        RawTensor[] tensors = new RawTensor[clips.size()];
        String[] reasons = new String[clips.size()];
        IntStream.range(0, tensors.length).parallel().forEach(i -> {
            try {
                RawTensor packed = held.get(clips.get(i).name());
                tensors[i] = packed == null ? encode(sounds.read(clips.get(i), sampleRate)) : packed;
            } catch (AudioException e) {
                reasons[i] = e.getMessage();
            }
        });
        for (int i = 0; i < tensors.length; i++) {
            if (tensors[i] == null) {
                failed.put(clips.get(i).name(), reasons[i]);
            } else {
                writer.add(clips.get(i).name(), tensors[i]);
            }
        }
    }

    private static RawTensor encode(float[] samples) {
        // Not an array of bytes: twice as many as the samples of a long clip are more than an array holds.
        MemorySegment stored = Arena.ofAuto().allocate(ValueLayout.JAVA_SHORT, samples.length);
        for (int i = 0; i < samples.length; i++) {
            stored.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) Math.round(SCALE * Math.clamp(samples[i], -1f, 1f)));
        }
        return new RawTensor(DType.I16, List.of((long) samples.length), stored);
    }
}

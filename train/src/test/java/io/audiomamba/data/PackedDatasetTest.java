package io.audiomamba.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.RawTensor;
import io.audiomamba.checkpoint.Safetensors;
import io.audiomamba.checkpoint.TensorFile;
import io.audiomamba.error.AudioException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.file.WholeFile;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class PackedDatasetTest {

    private static final int RATE = 16_000;
    private static final List<String> LABELS = List.of("low", "high");

    @TempDir
    private Path folder;

    private final AtomicInteger decoded = new AtomicInteger();

    /** Counts how often a clip is decoded. */
    private Dataset counting(Dataset dataset) {
        return new Dataset(dataset.title(), dataset.labels(), dataset.clips(), List.of(), new Dataset.Sounds() {
            @Override
            public float[] read(Clip clip, int sampleRate) {
                decoded.incrementAndGet();
                return dataset.sounds().read(clip, sampleRate);
            }

            @Override
            public int storedRate(Clip clip) {
                return dataset.sounds().storedRate(clip);
            }
        });
    }

    private Map<String, String> pack(Dataset dataset) {
        return PackedDataset.write(dataset, folder, RATE, (_, _) -> {});
    }

    @Test
    void roundTrip() {
        Dataset dataset = Tones.dataset(LABELS, 3, 50);
        List<Integer> progress = new ArrayList<>();
        assertThat(PackedDataset.write(dataset, folder, RATE, (done, all) -> {
            assertThat(all).isEqualTo(300);
            progress.add(done);
        })).isEmpty();
        assertThat(progress).containsExactly(256, 300);
        Dataset packed = Dataset.read(folder);
        assertThat(packed.title()).isEqualTo("tones");
        assertThat(packed.labels()).isEqualTo(LABELS);
        assertThat(packed.clips()).hasSize(300);
        for (int i = 0; i < 300; i++) {
            Clip clip = packed.clips().get(i);
            Clip original = dataset.clips().get(i);
            assertThat(clip.name()).isEqualTo(original.name());
            assertThat(clip.labels()).isEqualTo(original.labels());
            assertThat(clip.fold()).isEqualTo(original.fold());
            assertThat(packed.sounds().storedRate(clip)).isEqualTo(RATE);
            assertThat(packed.sounds().read(clip, RATE)).containsExactly(dataset.sounds().read(original, RATE),
                    within(0.5f / 32767 + 1e-7f));
        }
    }

    /** What Python's safetensors library reads. */
    @Test
    void shardsAreSafetensorsOfInt16() {
        pack(Tones.dataset(LABELS, 2, 1));
        try (TensorFile shard = Safetensors.open(folder.resolve("shard-00000.safetensors"))) {
            assertThat(shard.metadata()).containsExactly(Map.entry("sample_rate", "16000"));
            assertThat(shard.tensors()).containsOnlyKeys("low-1-0", "high-1-0", "low-2-0", "high-2-0");
            assertThat(shard.tensors().get("low-1-0").type()).isEqualTo(DType.I16);
            assertThat(shard.tensors().get("low-1-0").shape()).containsExactly(3200L);
        }
    }

    @Test
    void anInterruptedPackGoesOn() throws IOException {
        Dataset dataset = counting(Tones.dataset(LABELS, 3, 50));
        assertThatThrownBy(() -> PackedDataset.write(dataset, folder, RATE, (done, _) -> {
            throw new IllegalStateException("interrupted after " + done);
        })).hasMessage("interrupted after 256");
        assertThat(folder.resolve("index.json")).doesNotExist();
        assertThat(decoded).hasValue(256);
        pack(dataset);
        assertThat(decoded).hasValue(300);
        assertThat(Dataset.read(folder).clips()).hasSize(300);
        byte[] shard = Files.readAllBytes(folder.resolve("shard-00001.safetensors"));
        pack(dataset);
        assertThat(decoded).hasValue(300);
        assertThat(folder.resolve("shard-00001.safetensors")).hasBinaryContent(shard);
    }

    /** When the last clip of a shard is decoded, most of the others are on the disk. */
    @Test
    void clipsDoNotWaitInMemory() {
        Dataset dataset = Tones.dataset(LABELS, 1, 100);
        long[] waiting = new long[1];
        pack(new Dataset(dataset.title(), LABELS, dataset.clips(), List.of(), new Dataset.Sounds() {
            @Override
            public float[] read(Clip clip, int sampleRate) {
                if (clip.equals(dataset.clips().getLast())) {
                    waiting[0] = unfinishedBytes();
                }
                return dataset.sounds().read(clip, sampleRate);
            }

            @Override
            public int storedRate(Clip clip) {
                return RATE;
            }
        }));
        long bytes = folder.resolve("shard-00000.safetensors").toFile().length();
        assertThat(waiting[0]).isBetween(bytes / 2, bytes);
        assertThat(unfinishedBytes()).isZero();
    }

    private long unfinishedBytes() {
        return Arrays.stream(folder.toFile().listFiles((_, name) -> name.endsWith(".part"))).mapToLong(File::length)
                .sum();
    }

    /** As after a kill in the middle of a shard: what is not finished is neither taken for a shard nor left. */
    @Test
    void aPackThatWasKilled() throws IOException {
        Path shard = folder.resolve("shard-00000.safetensors");
        Files.write(WholeFile.unfinished(shard), new byte[1000]);
        pack(Tones.dataset(LABELS, 1, 1));
        try (var files = Files.list(folder)) {
            assertThat(files).containsExactlyInAnyOrder(shard, folder.resolve("index.json"));
        }
    }

    @Test
    void whatCannotBeDecodedIsNamedEachTimeAndTriedAgain() {
        Dataset good = Tones.dataset(LABELS, 1, 2);
        List<Clip> clips = new ArrayList<>(good.clips());
        clips.add(2, new Clip(Tones.BROKEN, Path.of("broken.wav"), List.of(0), 1));
        Dataset dataset = counting(new Dataset("tones", LABELS, clips, List.of(), good.sounds()));
        Map<String, String> failures = Map.of(Tones.BROKEN, "broken: is damaged after 0.10 s.");
        assertThat(pack(dataset)).isEqualTo(failures);
        assertThat(Dataset.read(folder).clips()).extracting(Clip::name).hasSize(4).doesNotContain(Tones.BROKEN);
        assertThat(decoded).hasValue(5);
        assertThat(pack(dataset)).isEqualTo(failures);
        assertThat(decoded).hasValue(6);
    }

    /** Two datasets of the same names, or one whose sounds were changed in between. */
    @Test
    void otherSoundsOfTheSameNamesAreRefused(@TempDir Path sounds) throws IOException {
        Path clip = Tones.wav(sounds.resolve("low/a.wav"));
        Tones.wav(sounds.resolve("high/b.wav"));
        pack(Dataset.read(sounds));
        Path shard = folder.resolve("shard-00000.safetensors");
        byte[] packed = Files.readAllBytes(shard);
        String before = source(clip);
        Tones.wav(clip, RATE, Tones.tone(RATE, 880, 0.3));
        assertThatThrownBy(() -> pack(Dataset.read(sounds))).isInstanceOf(ConfigurationException.class)
                .hasMessage(folder + ": holds the clip low/a.wav of another file (" + before + ") than " + clip
                        + " is now (" + source(clip)
                        + "); delete that folder and pack the data again, or pack into another one.");
        assertThat(shard).hasBinaryContent(packed);
    }

    private static String source(Path file) throws IOException {
        return Files.size(file) + " bytes of " + Files.getLastModifiedTime(file);
    }

    @Test
    void aSourceOfTheLastShardThatChangedLeavesTheFirstAsItIs(@TempDir Path sounds) throws IOException {
        Dataset tones = Tones.dataset(LABELS, 1, 150);
        Path file = Files.writeString(sounds.resolve("last"), "before");
        List<Clip> clips = new ArrayList<>(tones.clips());
        clips.set(299, new Clip("last", file, List.of(1), 1));
        pack(new Dataset("tones", LABELS, clips, List.of(), tones.sounds()));
        byte[] packed = Files.readAllBytes(folder.resolve("shard-00000.safetensors"));
        Files.writeString(file, "afterwards");
        clips.set(0, new Clip("another", Path.of("another"), List.of(0), 1));
        assertThatThrownBy(() -> pack(new Dataset("tones", LABELS, clips, List.of(), tones.sounds())))
                .isInstanceOf(ConfigurationException.class).hasMessageContaining("holds the clip last of another file");
        assertThat(folder.resolve("shard-00000.safetensors")).hasBinaryContent(packed);
        Files.delete(file);
        assertThatThrownBy(() -> pack(new Dataset("tones", LABELS, clips, List.of(), tones.sounds())))
                .isInstanceOf(ConfigurationException.class).hasMessageContaining(file + " is now (gone)");
    }

    @Test
    void ofADatasetThatHasShrunkNoShardStaysBehind() throws IOException {
        Dataset dataset = Tones.dataset(LABELS, 1, 300);
        pack(dataset);
        pack(dataset.where(clip -> clip.labels().contains(0)));
        try (var files = Files.list(folder)) {
            assertThat(files.map(file -> file.getFileName().toString())).containsExactlyInAnyOrder("index.json",
                    "shard-00000.safetensors", "shard-00001.safetensors");
        }
        assertThat(Dataset.read(folder).clips()).hasSize(300);
    }

    /** Such as when a disk is not mounted. */
    @Test
    void clipsThatAreMissingForAWhileStayPacked() {
        Dataset dataset = counting(Tones.dataset(LABELS, 1, 150));
        List<String> missing = dataset.clips().subList(256, 300).stream().map(Clip::name).toList();
        pack(dataset);
        pack(new Dataset("tones", LABELS, dataset.clips().subList(0, 256), missing, dataset.sounds()));
        assertThat(Dataset.read(folder).clips()).hasSize(256);
        pack(dataset);
        assertThat(Dataset.read(folder).clips()).hasSize(300);
        assertThat(decoded).hasValue(300);
    }

    /** The size of a sound of five seconds is always the same. */
    @Test
    void anotherSoundOfTheSameSizeIsRefused(@TempDir Path sounds) throws IOException {
        Path clip = Tones.wav(sounds.resolve("low/a.wav"));
        pack(Dataset.read(sounds));
        Files.setLastModifiedTime(clip, FileTime.fromMillis(0));
        assertThatThrownBy(() -> pack(Dataset.read(sounds))).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("holds the clip low/a.wav of another file");
    }

    /** One that could not be decoded is nothing that the folder holds. */
    @Test
    void aSoundThatWasRepaired(@TempDir Path sounds) throws IOException {
        Tones.wav(sounds.resolve("low/a.wav"));
        Path broken = Files.writeString(sounds.resolve("low/b.wav"), "no sound");
        assertThat(pack(Dataset.read(sounds))).containsOnlyKeys("low/b.wav");
        Tones.wav(broken);
        assertThat(pack(Dataset.read(sounds))).isEmpty();
        assertThat(Dataset.read(folder).clips()).hasSize(2);
    }

    /** Such as earlier versions wrote: it can be read, and is decoded anew by the next call. */
    @Test
    void aShardThatDoesNotSayWhatItWasPackedFrom(@TempDir Path sounds) throws IOException {
        Path clip = Tones.wav(sounds.resolve("low/a.wav"));
        pack(Dataset.read(sounds));
        Path shard = folder.resolve("shard-00000.safetensors");
        RawTensor silence = new RawTensor(DType.I16, List.of(1L), MemorySegment.ofArray(new byte[2]));
        Safetensors.write(shard, Map.of("low/a.wav", silence), Map.of("sample_rate", Integer.toString(RATE)));
        Dataset old = Dataset.read(folder);
        assertThat(old.sounds().read(old.clips().getFirst(), RATE)).containsExactly(0);
        pack(Dataset.read(sounds));
        Dataset packed = Dataset.read(folder);
        assertThat(packed.sounds().read(packed.clips().getFirst(), RATE)).hasSize(3200);
        try (TensorFile file = Safetensors.open(shard)) {
            assertThat(file.metadata()).containsEntry("source of low/a.wav",
                    source(clip));
        }
    }

    @Test
    void aDamagedShardIsNotPackedOver() throws IOException {
        pack(Tones.dataset(LABELS, 1, 1));
        Files.writeString(folder.resolve("shard-00000.safetensors"), "no shard");
        assertThatThrownBy(() -> pack(Tones.dataset(LABELS, 1, 1))).isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith("The packed dataset is damaged; delete it and pack the data again: ");
    }

    @Test
    void nothingThatCanBeDecoded() {
        Dataset dataset = new Dataset("tones", LABELS,
                List.of(new Clip(Tones.BROKEN, Path.of("x"), List.of(0), 1)), List.of(),
                Tones.dataset(LABELS, 1, 1).sounds());
        assertThatThrownBy(() -> pack(dataset)).isInstanceOf(ConfigurationException.class)
                .hasMessage("tones: none of its clips can be decoded, such as broken: is damaged after 0.10 s.");
        assertThat(folder.resolve("index.json")).doesNotExist();
    }

    @Test
    void anotherRateIsRefused() {
        Dataset dataset = Tones.dataset(LABELS, 1, 1);
        pack(dataset);
        Dataset packed = Dataset.read(folder);
        assertThatThrownBy(() -> packed.sounds().read(packed.clips().getFirst(), 32_000))
                .isInstanceOf(ConfigurationException.class).hasMessage(folder
                        + ": is packed at 16000 Hz, but the model hears 32000 Hz; pack the data again with --rate 32000.");
        assertThatThrownBy(() -> PackedDataset.write(dataset, folder, 32_000, (_, _) -> {}))
                .isInstanceOf(ConfigurationException.class).hasMessageContainingAll("holds tones at 16000 Hz",
                        "at 32000 Hz into another folder");
    }

    @Test
    void aDamagedIndex() throws IOException {
        Path index = folder.resolve("index.json");
        for (String content : List.of("", "{", "{}", "[]", "null", """
                {"title":"t","sampleRate":32000,"labels":["a"],"clips":[null]}
                """, """
                {"title":"t","sampleRate":32000,"labels":[null],"clips":[]}
                """,
                """
                        {"title":"t","sampleRate":32000,"labels":["a"],"clips":[{"name":"x","shard":"shard-00000.safetensors","labels":[1],"fold":0}]}
                        """,
                """
                        {"title":"t","sampleRate":32000,"labels":["a"],"clips":[{"name":"x","shard":"../s","labels":[0],"fold":0}]}
                        """)) {
            Files.writeString(index, content);
            assertThatThrownBy(() -> Dataset.read(folder)).isInstanceOf(ConfigurationException.class)
                    .hasMessageStartingWith(index + ": is damaged");
        }
    }

    @Test
    void aClipWithoutSamples() {
        pack(Tones.dataset(LABELS, 1, 1));
        Safetensors.write(folder.resolve("shard-00000.safetensors"),
                Map.of("low-1-0", new RawTensor(DType.I16, List.of(0L), MemorySegment.ofArray(new byte[0]))), Map.of());
        Dataset packed = Dataset.read(folder);
        assertThatThrownBy(() -> packed.sounds().read(packed.clips().getFirst(), RATE))
                .isInstanceOf(AudioException.class).hasMessageContaining("does not hold the clip low-1-0");
    }

    /** Clips that are added move others from shard to shard. */
    @Test
    void ofAPackThatWasInterruptedBetweenShardsNoIndexIsLeft() {
        Dataset tones = Tones.dataset(LABELS, 1, 150);
        pack(new Dataset("tones", LABELS, tones.clips().subList(10, 300), List.of(), tones.sounds()));
        assertThatThrownBy(() -> PackedDataset.write(tones, folder, RATE, (done, _) -> {
            throw new IllegalStateException("interrupted after " + done);
        })).hasMessage("interrupted after 256");
        assertThat(folder.resolve("index.json")).doesNotExist();
        pack(tones);
        assertThat(Dataset.read(folder).clips()).hasSize(300);
    }

    @Test
    void aShardThatIsGone() throws IOException {
        pack(Tones.dataset(LABELS, 1, 1));
        Files.delete(folder.resolve("shard-00000.safetensors"));
        Dataset packed = Dataset.read(folder);
        assertThatThrownBy(() -> packed.sounds().read(packed.clips().getFirst(), RATE))
                .as("not of one clip").isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("shard-00000.safetensors: there is no such file");
    }

    /** What is mapped is memory that the garbage collector does not see. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void theShardsOfADatasetThatNobodyUsesAreUnmapped() throws IOException {
        pack(Tones.dataset(LABELS, 1, 1));
        readAll();
        for (int i = 0; i < 100 && isMapped(); i++) {
            System.gc();
        }
        assertThat(isMapped()).isFalse();
    }

    private void readAll() throws IOException {
        Dataset packed = Dataset.read(folder);
        packed.clips().forEach(clip -> packed.sounds().read(clip, RATE));
        assertThat(isMapped()).isTrue();
    }

    private boolean isMapped() throws IOException {
        return Files.readString(Path.of("/proc/self/maps")).contains(folder.toRealPath().toString());
    }
}

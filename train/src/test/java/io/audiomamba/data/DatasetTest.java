package io.audiomamba.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.AudioException;
import io.audiomamba.error.ConfigurationException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The layouts of datasets, whole and damaged. */
class DatasetTest {

    @TempDir
    private Path folder;

    private Path write(String name, String content) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        return Files.writeString(file, content);
    }

    private static void assertRefused(Path path, String... parts) {
        assertThatThrownBy(() -> Dataset.read(path)).isInstanceOf(ConfigurationException.class)
                .hasMessageContainingAll(parts).hasMessageEndingWith(".");
    }

    @Test
    void esc50() throws IOException {
        write("meta/esc50.csv", """
                filename,fold,target,category,esc10,src_file,take
                1-1-A-12.wav,1,12,crackling_fire,True,1,A
                2-2-A-0.wav,2,0,dog,True,2,A
                2-3-A-0.wav,2,0,dog,True,3,A
                """);
        Tones.wav(folder.resolve("audio/1-1-A-12.wav"));
        Tones.wav(folder.resolve("audio/2-2-A-0.wav"));
        Dataset dataset = Dataset.read(folder);
        assertThat(dataset.labels()).containsExactly("dog", "crackling fire");
        assertThat(dataset.clips()).extracting(Clip::name).containsExactly("1-1-A-12.wav", "2-2-A-0.wav");
        assertThat(dataset.clips()).extracting(Clip::fold).containsExactly(1, 2);
        assertThat(dataset.clips()).extracting(Clip::labels).containsExactly(List.of(1), List.of(0));
        assertThat(dataset.missing()).containsExactly("2-3-A-0.wav");
        assertThat(dataset.isSingleLabel()).isTrue();
        assertThat(dataset.folds()).containsExactly(1, 2);
        Clip clip = dataset.clips().getFirst();
        assertThat(dataset.sounds().storedRate(clip)).isEqualTo(8000);
        assertThat(dataset.sounds().read(clip, 16_000)).hasSize(3200);
    }

    /** Otherwise clips would be taken for another class, or two classes have one name. */
    @Test
    void targetsAndCategoriesThatDoNotMatch() throws IOException {
        for (String row : List.of("x.wav,1,0,crackling fire", "x.wav,1,3,dog", "x.wav,1,1,dog")) {
            Path table = write("meta/esc50.csv", "filename,fold,target,category\n1-1-A-0.wav,1,0,dog\n"
                    + "1-1-A-1.wav,1,1,crackling_fire\n1-2-A-1.wav,1,1,crackling fire\n" + row + "\n");
            String[] fields = row.split(",");
            assertRefused(folder, table + ": 1-1-A-", ", but x.wav has the target " + fields[2]
                    + " and the category '" + fields[3] + "'; a target must have one category");
        }
    }

    /** {@code -Desc10.dir} names another place. */
    @Test
    void esc10AsPublished() {
        Path esc10 = Path.of(System.getProperty("esc10.dir", "../../shared/data/esc10"));
        Assumptions.assumeTrue(Files.isDirectory(esc10), esc10 + " is not there");
        Dataset dataset = Dataset.read(esc10);
        assertThat(dataset.clips()).hasSize(400);
        assertThat(dataset.missing()).isEmpty();
        assertThat(dataset.labels()).hasSize(10).contains("sneezing", "clock tick").isSubsetOf(dataset.labels());
        for (int fold : dataset.folds()) {
            assertThat(dataset.fold(fold).clips()).hasSize(80);
            assertThat(dataset.withoutFold(fold).emptyClasses()).isEmpty();
        }
        assertThat(dataset.sounds().read(dataset.clips().getFirst(), 32_000)).hasSizeBetween(159_000, 161_000);
    }

    @Test
    void aFolderPerClass() throws IOException {
        Tones.wav(folder.resolve("rain/b.wav"));
        Tones.wav(folder.resolve("rain/deeper/a.wav"));
        Tones.wav(folder.resolve("dog/c.wav"));
        Files.createFile(folder.resolve("dog/.hidden"));
        Files.createDirectory(folder.resolve(".git"));
        write("readme.txt", "not a clip");
        write("rain/deeper/notes.txt", "not a clip");
        write("rain/wav", "not a clip");
        Dataset dataset = Dataset.read(folder);
        assertThat(dataset.labels()).containsExactly("dog", "rain");
        assertThat(dataset.clips()).extracting(Clip::name).containsExactly("dog/c.wav", "rain/b.wav",
                "rain/deeper/a.wav");
        assertThat(dataset.folds()).containsExactly(0);
        assertThat(dataset.ignored()).containsExactly("rain/deeper/notes.txt", "rain/wav");
        assertThat(dataset.where(clip -> clip.labels().contains(0)).ignored()).isEqualTo(dataset.ignored());
    }

    /** Neither do the links end the reading, nor do they put a class into another. */
    @Test
    @DisabledOnOs(value = OS.WINDOWS, disabledReason = "not everybody may make links there")
    void linksThatGoRoundInCirclesAndDeepFolders() throws IOException {
        String deep = "dog/" + "deeper/".repeat(20) + "b.wav";
        Tones.wav(folder.resolve(deep));
        Tones.wav(folder.resolve("dog/a.wav"));
        Tones.wav(folder.resolve("rain/c.wav"));
        Files.createSymbolicLink(folder.resolve("dog/up"), folder);
        Files.createSymbolicLink(folder.resolve("self"), folder);
        Files.createSymbolicLink(folder.resolve("rain/gone"), folder.resolve("nowhere"));
        Files.createSymbolicLink(folder.resolve("wet"), folder.resolve("rain"));
        Dataset dataset = Dataset.read(folder);
        assertThat(dataset.labels()).containsExactly("dog", "rain", "wet");
        assertThat(dataset.clips()).extracting(Clip::name).containsExactly("dog/a.wav", deep, "rain/c.wav",
                "wet/c.wav");
    }

    @Test
    void aFingerprintOfClipsLabelsAndFolds() {
        Dataset dataset = Tones.dataset(List.of("low", "high"), 2, 1);
        Clip first = dataset.clips().getFirst();
        assertThat(Tones.dataset(List.of("low", "high"), 2, 1).fingerprint()).isEqualTo(dataset.fingerprint());
        assertThat(List.of(new Clip("other", first.file(), first.labels(), 1),
                new Clip(first.name(), first.file(), List.of(1), 1),
                new Clip(first.name(), first.file(), first.labels(), 2)))
                .extracting(clip -> replacingFirst(dataset, clip).fingerprint())
                .doesNotContain(dataset.fingerprint());
        assertThat(replacingFirst(dataset, new Clip(first.name(), folder, first.labels(), 1)).fingerprint())
                .as("wherever the sound is").isEqualTo(dataset.fingerprint());
    }

    private static Dataset replacingFirst(Dataset dataset, Clip clip) {
        List<Clip> clips = new ArrayList<>(dataset.clips());
        clips.set(0, clip);
        return new Dataset(dataset.title(), dataset.labels(), clips, List.of(), dataset.sounds());
    }

    @Test
    void aManifestWithSeveralLabels() throws IOException {
        Tones.wav(folder.resolve("sounds/a.wav"));
        Tones.wav(folder.resolve("sounds/b.wav"));
        Path manifest = write("list.csv", """
                \uFEFFfile,labels,fold
                sounds/a.wav,rain; dog;rain,3
                "sounds/b.wav", "dog" ,4
                sounds/gone.wav,wind,4
                """);
        Dataset dataset = Dataset.read(manifest);
        assertThat(dataset.labels()).containsExactly("dog", "rain", "wind");
        assertThat(dataset.clips()).extracting(Clip::labels).containsExactly(List.of(0, 1), List.of(0));
        assertThat(dataset.isSingleLabel()).isFalse();
        assertThat(dataset.folds()).containsExactly(3, 4);
        assertThat(dataset.missing()).containsExactly("sounds/gone.wav");
        assertThat(dataset.emptyClasses()).containsExactly("wind");
    }

    @Test
    void whatIsNoDataset() throws IOException {
        assertRefused(folder.resolve("nowhere"), "nowhere: there is no such file or folder");
        assertRefused(folder, "is no dataset", "meta/esc50.csv", "each class");
        Files.createDirectories(folder.resolve("dog"));
        assertRefused(folder, folder.resolve("dog").toString(), "no clip of this class");
        write("dog/notes.txt", "not a clip");
        assertRefused(folder, folder.resolve("dog").toString(), "no clip of this class");
    }

    @Test
    void damagedTables() throws IOException {
        assertRefused(write("a.csv", "file,label\nx.wav,dog\n"), "a.csv", "has no 'labels'", "file, labels");
        assertRefused(write("b.csv", "file,labels\nx.wav,;\n"), "b.csv", "x.wav has no label");
        assertRefused(write("c.csv", "file,labels,fold\nx.wav,dog,one\n"), "c.csv", "'one' is not a whole number");
        assertRefused(write("d.csv", "file,labels\nx.wav,dog\n"), "d.csv", "none of the 1 that it lists", "x.wav");
        assertRefused(write("e.csv", "file,labels\n"), "e.csv", "no clips");
        assertRefused(write("f.csv", "file,labels\nx.wav,\"dog\n"), "f.csv", "is not a CSV file");
        assertRefused(Tones.wav(folder.resolve("x.wav")), "x.wav: is not a CSV file in UTF-8.");
        assertRefused(write("g.csv", "file,labels\nx.wav,dog\nx.wav,cat\n"), "g.csv", "x.wav twice");
        write("meta/esc50.csv", "filename,fold,target,category\nx.wav,1,dog,0\n");
        assertRefused(folder, "esc50.csv", "target 'dog' is not a whole number");
        for (String nothing : List.of("", " ", "_", "\"\"")) {
            Path table = write("meta/esc50.csv", "filename,fold,target,category\nx.wav,1,0," + nothing + "\n");
            assertRefused(folder, table + ": x.wav has no category; name its class in the column category.");
        }
    }

    @Test
    void folds() {
        Dataset dataset = Tones.dataset(List.of("low", "high"), 3, 2);
        assertThat(dataset.fold(2).clips()).hasSize(4).allMatch(clip -> clip.fold() == 2);
        assertThat(dataset.withoutFold(2).clips()).hasSize(8).noneMatch(clip -> clip.fold() == 2);
        assertThatThrownBy(() -> dataset.fold(7)).isInstanceOf(ConfigurationException.class)
                .hasMessage("tones: there is no fold 7; there are 1, 2, 3.");
        assertThatThrownBy(() -> dataset.where(clip -> clip.fold() == 1).fold(1))
                .isInstanceOf(ConfigurationException.class).hasMessage("tones: is not cut into folds.");
        assertThatThrownBy(() -> dataset.where(clip -> clip.fold() == 1 || clip.labels().contains(0)).withoutFold(1))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("tones: without fold 1 there is no clip of high to train on.");
        assertThatThrownBy(() -> dataset.where(_ -> false)).isInstanceOf(ConfigurationException.class)
                .hasMessage("tones: there are no clips in it.");
    }

    @Test
    void aClipThatIsNoSound() throws IOException {
        write("dog/a.wav", "woof");
        Dataset dataset = Dataset.read(folder);
        assertThatThrownBy(() -> dataset.sounds().read(dataset.clips().getFirst(), 32_000))
                .isInstanceOf(AudioException.class).hasMessageContaining("a.wav: is not a sound file");
    }
}

package io.audiomamba.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.ConfigurationException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** AudioSet in small: files as published, and sounds as the downloaders name them. */
class AudioSetSegmentsTest {

    private static final String HEAD = """
            # Segments csv created on Sun Mar  5 10:54:31 2017
            # num_ytids=3, num_segs=3, num_unique_labels=2, num_positive_labels=4
            # YTID, start_seconds, end_seconds, positive_labels
            """;

    @TempDir
    private Path folder;

    private Path segments;

    @BeforeEach
    void tables() throws IOException {
        Files.writeString(folder.resolve("class_labels_indices.csv"), """
                index,mid,display_name
                0,/m/09x0r,"Speech"
                1,/m/05zppz,"Male speech, man speaking"
                2,/t/dd00003,"Dog"
                """);
        segments = Files.writeString(folder.resolve("eval_segments.csv"), HEAD + """
                --4gqARaEJE, 0.000, 10.000, "/m/05zppz,/m/09x0r"
                Y_-bcdefghi, 30.000, 40.000, "/t/dd00003"
                abcdefgh_30, 8.500, 18.500, "/m/09x0r"
                """);
    }

    private void sound(String name) throws IOException {
        Files.createDirectories(folder.resolve("clips/eval"));
        Files.createFile(folder.resolve("clips/eval").resolve(name));
    }

    @ParameterizedTest
    @ValueSource(strings = {"Y_-bcdefghi.wav", "YY_-bcdefghi.wav", "Y_-bcdefghi_30.000.flac",
            "Y_-bcdefghi_30000_40000.m4a", "YY_-bcdefghi_30.000_40.000.opus", "Y_-bcdefghi_30.MP3",
            "YY_-bcdefghi-30-40.webm"})
    void theWaysToNameAClip(String name) throws IOException {
        sound(name);
        Dataset dataset = Dataset.read(segments);
        assertThat(dataset.clips()).hasSize(1);
        assertThat(dataset.clips().getFirst().name()).isEqualTo("Y_-bcdefghi_30.000");
        assertThat(dataset.clips().getFirst().file().getFileName()).hasToString(name);
        assertThat(dataset.clips().getFirst().labels()).containsExactly(2);
        assertThat(dataset.missing()).containsExactly("--4gqARaEJE_0.000", "abcdefgh_30_8.500");
    }

    @ParameterizedTest
    @ValueSource(strings = {"Y_-bcdefghi_31.000.flac", "Y_-bcdefghi.json", "Y_-bcdefghi", "_-bcdefghi.wav",
            "Y_-bcdefghij.wav", "wav"})
    void otherFilesAreNotTaken(String name) throws IOException {
        sound(name);
        assertThatThrownBy(() -> Dataset.read(segments)).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("none of the 3 that it lists is there, such as --4gqARaEJE_0.000");
    }

    @Test
    void theWholeSubset() throws IOException {
        sound("--4gqARaEJE.wav");
        sound("Yabcdefgh_30.wav");
        sound("Y_-bcdefghi_99.000.wav");
        sound("Y_-bcdefghi_30.000.wav");
        Dataset dataset = Dataset.read(folder);
        assertThat(dataset.title()).isEqualTo("eval_segments");
        assertThat(dataset.labels()).containsExactly("Speech", "Male speech, man speaking", "Dog");
        assertThat(dataset.clips()).extracting(Clip::labels).containsExactly(List.of(0, 1), List.of(2), List.of(0));
        assertThat(dataset.clips().get(1).file()).hasFileName("Y_-bcdefghi_30.000.wav");
        assertThat(dataset.missing()).isEmpty();
    }

    @Test
    void withoutAListOfClassesAll527() throws IOException {
        Files.delete(folder.resolve("class_labels_indices.csv"));
        sound("--4gqARaEJE.wav");
        Dataset dataset = Dataset.read(folder);
        assertThat(dataset.labels()).hasSize(527).startsWith("Speech", "Male speech, man speaking");
        assertThat(dataset.clips().getFirst().labels()).containsExactly(0, 1);
        assertThat(dataset.emptyClasses()).hasSize(525);
    }

    @Test
    void severalSubsetsAreToldByName() throws IOException {
        sound("--4gqARaEJE.wav");
        Path balanced = Files.writeString(folder.resolve("balanced_train_segments.csv"),
                HEAD + "--4gqARaEJE, 0.000, 10.000, \"/t/dd00003\"\n");
        assertThat(Dataset.read(balanced).clips().getFirst().labels()).containsExactly(2);
        assertThatThrownBy(() -> Dataset.read(folder)).isInstanceOf(ConfigurationException.class)
                .hasMessageContainingAll("several files of segments", balanced.toString(), segments.toString());
    }

    @Test
    void damagedTables() throws IOException {
        sound("--4gqARaEJE.wav");
        Files.writeString(segments, HEAD + "--4gqARaEJE, 0.000, 10.000, \"/m/nothing\"\n");
        assertThatThrownBy(() -> Dataset.read(segments)).isInstanceOf(ConfigurationException.class)
                .hasMessageContainingAll("--4gqARaEJE has the class '/m/nothing'", "none of AudioSet's");
        for (String start : List.of("soon", "NaN")) {
            Files.writeString(segments, HEAD + "--4gqARaEJE, " + start + ", 10.000, \"/m/09x0r\"\n");
            assertThatThrownBy(() -> Dataset.read(segments)).isInstanceOf(ConfigurationException.class)
                    .hasMessageContaining("the start '" + start + "' of --4gqARaEJE is not a number");
        }
        Files.writeString(segments, HEAD + "--4gqARaEJE, 0.000, 10.000\n");
        assertThatThrownBy(() -> Dataset.read(segments)).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("has no 'labels'");
    }
}

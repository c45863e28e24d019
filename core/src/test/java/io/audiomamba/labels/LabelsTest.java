package io.audiomamba.labels;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.ConfigurationException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LabelsTest {

    private static final List<String> MODEL = List.of("Dog", "Cat", "Male speech, man speaking", "Rain");

    @TempDir
    private Path folder;

    @Test
    void audioSet() {
        List<AudioSetClass> classes = AudioSet.classes();
        assertThat(classes).hasSize(527).contains(new AudioSetClass(0, "/m/09x0r", "Speech"),
                new AudioSetClass(1, "/m/05zppz", "Male speech, man speaking"),
                new AudioSetClass(74, "/m/0bt9lr", "Dog"),
                new AudioSetClass(526, "/m/07hvw1", "Field recording"));
        assertThat(classes.stream().map(AudioSetClass::index)).isEqualTo(IntStream.range(0, 527).boxed().toList());
        assertThat(new HashSet<>(AudioSet.names())).hasSize(527)
                .noneMatch(name -> name.isBlank() || name.contains("\""));
        assertThat(classes.stream().map(AudioSetClass::machineId).distinct()).hasSize(527)
                .allMatch(id -> id.matches("/[mgt]/\\w+"));
        assertThat(Labels.read("audioset")).isEqualTo(AudioSet.names());
    }

    @Test
    void imageNetHasNumbersForNames() {
        assertThat(Labels.read("imagenet")).hasSize(1000).endsWith("ImageNet class 999");
    }

    @Test
    void aFile() throws IOException {
        Path file = Files.writeString(folder.resolve("labels.txt"), " dog\n\r\n\nrain, heavy \n");
        assertThat(Labels.read(file.toString())).containsExactly("dog", "rain, heavy");
        Files.writeString(file, "\uFEFFdog\nrain");
        assertThat(Labels.read(file)).as("with a byte order mark").containsExactly("dog", "rain");
    }

    @Test
    void aFolder() {
        assertThatThrownBy(() -> Labels.read(folder)).isInstanceOf(ConfigurationException.class)
                .hasMessage(folder + ": cannot be read: it is a folder, not a text file with one class a line.");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"'' | names no class.", "'dog\ncat\ndog' | names the class 'dog' 2 times.",
            "'\ud800' | no text in UTF-8"})
    void aFileThatIsNoListOfClasses(String content, String problem) throws IOException {
        Path file = Files.write(folder.resolve("labels.txt"),
                content.startsWith("\ud800") ? new byte[] {(byte) 0xff, 'a'} : content.getBytes());
        assertThatThrownBy(() -> Labels.read(file)).isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith(file + ": ").hasMessageContaining(problem);
    }

    @Test
    void noFileAtAll() {
        assertThatThrownBy(() -> Labels.read("audioste")).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("no such file").hasMessageContaining("audioset, imagenet");
    }

    @Test
    void aFilterTakesLabelsMachineIdentifiersAndFiles() throws IOException {
        Path file = Files.writeString(folder.resolve("wanted.txt"), "RAIN\n/m/01yrx\n");
        LabelFilter filter = LabelFilter.of(MODEL, List.of("dog", "Male speech, man speaking", file.toString()),
                List.of("/m/0bt9lr"));
        assertThat(MODEL.stream().filter(filter)).containsExactly("Cat", "Male speech, man speaking", "Rain");
        assertThat(MODEL).allMatch(LabelFilter.of(MODEL, List.of(), List.of()));
    }

    @Test
    void aFilterThatFitsNoClass() {
        assertThatThrownBy(() -> LabelFilter.of(MODEL, List.of("speech"), List.of()))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("no class 'speech'").hasMessageContaining("'Male speech, man speaking'");
        assertThatThrownBy(() -> LabelFilter.of(MODEL, List.of(), List.of("/m/09x0r")))
                .hasMessageContaining("no class '/m/09x0r'");
        assertThatThrownBy(() -> LabelFilter.of(MODEL, List.of("Dog"), List.of("dog")))
                .hasMessageContaining("leave none");
    }
}

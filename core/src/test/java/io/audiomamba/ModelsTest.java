package io.audiomamba;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.CheckpointException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class ModelsTest {

    /** The working directory is this module's. */
    @Test
    void aFileOrTheNameOfAModel() {
        assertThat(Models.file("esc10")).isEmpty();
        assertThat(Models.file("pom.xml")).contains(Path.of("pom.xml"));
        assertThat(Models.file("no-such.safetensors")).isPresent();
        assertThat(Models.file("folder/model")).isPresent();
    }

    @Test
    void aFolderDoesNotHideAModel() {
        assertThat(Path.of("src")).isDirectory();
        assertThat(Models.file("src")).isEmpty();
        assertThatThrownBy(() -> Models.open("src")).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("no bundled model of that name").hasMessageStartingWith("src: is a folder, ");
        assertThatThrownBy(() -> Models.open("absent")).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("absent: there is no such file, no bundled model of that name");
        assertThatThrownBy(() -> Models.open("src/main")).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("is a directory");
        assertThatThrownBy(() -> Models.open("src/absent")).isInstanceOf(CheckpointException.class)
                .hasMessage("src/absent: there is no such file.");
    }
}

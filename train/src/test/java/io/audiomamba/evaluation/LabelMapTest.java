package io.audiomamba.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.ConfigurationException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LabelMapTest {

    private static final List<String> MODEL = List.of("Rain", "Dog", "Bark", "Sea_waves");
    private static final float[][] SCORES = {{1, 2, 3, 4}, {8, 7, 6, 5}};

    @TempDir
    private Path folder;

    private LabelMap read(String csv, String... dataset) throws IOException {
        return LabelMap.read(Files.writeString(folder.resolve("map.csv"), csv), MODEL, List.of(dataset));
    }

    @Test
    void byNameWhateverTheOrderAndCapitals() {
        LabelMap map = LabelMap.byName(MODEL, List.of("sea waves", "rain"));
        assertThat(map.apply(SCORES)).isDeepEqualTo(new float[][] {{4, 1}, {5, 8}});
    }

    @Test
    void aMismatchNamesTheLabels() {
        assertThatThrownBy(() -> LabelMap.byName(MODEL, List.of("rain", "cat", "wind")))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("The model does not know 2 of the dataset's 3 classes: 'cat', 'wind'; those that only the"
                        + " model has: 'Dog', 'Bark', 'Sea_waves'; if they go by other names, say which in a file for"
                        + " --label-map.");
        assertThatThrownBy(() -> LabelMap.byName(List.of("a"), List.of("a", "b", "c", "d", "e", "f", "g", "h")))
                .hasMessageContaining("'b', 'c', 'd', 'e', 'f' and 2 more; if they");
    }

    @Test
    void aFileGivesOtherNames() throws IOException {
        LabelMap map = read("dataset,model\ndog barking,Dog\nDog barking,bark\n", "rain", "dog barking");
        assertThat(map.apply(SCORES)).isDeepEqualTo(new float[][] {{1, 3}, {8, 7}});
    }

    @Test
    void aFileThatNamesWhatIsNotThere() {
        assertThatThrownBy(() -> read("dataset,model\nrain,Storm\n", "rain"))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage(folder.resolve("map.csv") + ": the model has no class 'Storm'.");
        assertThatThrownBy(() -> read("dataset,model\ncat,Rain\n", "rain"))
                .hasMessage(folder.resolve("map.csv") + ": the dataset has no class 'cat'.");
        assertThatThrownBy(() -> read("dataset;model\n", "storm")).hasMessageContaining("does not know 1 of");
        assertThatThrownBy(() -> read("a,b\nrain,Rain\n", "rain")).hasMessageContaining("has no 'dataset'");
    }
}

package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.ConfigurationException;
import io.audiomamba.model.Variants;
import io.audiomamba.model.ModelConfig.HeadKind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class RecipeTest {

    @TempDir
    private Path folder;

    static List<String> names() {
        return Recipe.names();
    }

    @ParameterizedTest
    @MethodSource("names")
    void everyRecipeIsSoundAndSurvivesItsOwnText(String name) throws IOException {
        Recipe recipe = Recipe.of(name, Map.of());
        assertThat(Variants.names()).contains(recipe.model().preset());
        Path written = Files.writeString(folder.resolve("recipe.yaml"), recipe.toYaml());
        assertThat(Recipe.of(written.toString(), Map.of())).isEqualTo(recipe);
        assertThat(recipe.toYaml()).doesNotContainPattern("[A-Z]{3}");
    }

    @Test
    void aFileOverABaseOverTheDefaults() throws IOException {
        Path file = Files.writeString(folder.resolve("mine.yaml"), """
                base: ablation-cutmix
                optimizer:
                  lr: 3e-4
                sampling: weighted
                """);
        Recipe recipe = Recipe.of(file.toString(), Map.of("train.epochs", "5", "model.head", "linear"));
        assertThat(recipe.optimizer().lr()).isEqualTo(3e-4);
        assertThat(recipe.sampling()).isEqualTo(Recipe.Sampling.WEIGHTED);
        assertThat(recipe.augment().cutmixAlpha()).isEqualTo(1);
        assertThat(recipe.augment().crop()).as("of the base's base").isEqualTo(0.5);
        assertThat(recipe.train().epochs()).isEqualTo(5);
        assertThat(recipe.train().batchSize()).as("of the defaults").isEqualTo(32);
        assertThat(recipe.model().head()).isEqualTo(HeadKind.LINEAR);
    }

    @Test
    void listsAndExponents() {
        Recipe recipe = Recipe.of("esc50", Map.of("optimizer.lr", "1e-3", "schedule.step_epochs", "[5, 7]",
                "optimizer.frozen", "[patch_embed]", "augment.roll", "false"));
        assertThat(recipe.optimizer().lr()).isEqualTo(0.001);
        assertThat(recipe.schedule().stepEpochs()).containsExactly(5, 7);
        assertThat(recipe.optimizer().frozen()).containsExactly("patch_embed");
        assertThat(recipe.augment().roll()).isFalse();
    }

    @Test
    void anotherSeed() {
        Recipe recipe = Recipe.of("esc50", Map.of());
        assertThat(recipe.withSeed(5).train().seed()).isEqualTo(5);
        assertThat(recipe.withSeed(5).withSeed(recipe.train().seed())).isEqualTo(recipe);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"optimizer.learning_rate=1 | has no 'optimizer.learning_rate'",
            "optimiser.lr=1 | has no 'optimiser.lr'", "optimizer=1 | has no 'optimizer'",
            "epochs=3 | has no 'epochs'", "train.epochs.x=3 | has no 'train.epochs.x'",
            "train.epochs=many | train.epochs is \"many\" but must be a whole number",
            "train.epochs=1.5 | train.epochs is 1.5 but must be a whole number",
            "train.epochs= | train.epochs is", "train.epochs=0 | train.epochs is 0 but must be 1 or more",
            "train.workers=1000000 | train.workers is 1000000 but must be 1 to 256",
            "optimizer.lr=fast | optimizer.lr is \"fast\" but must be a number",
            "optimizer.lr=-1 | optimizer.lr is -1.0 but must be above 0", "optimizer.lr=.nan | optimizer.lr is NaN",
            "optimizer.lr=.inf | optimizer.lr is Infinity but must be finite",
            "optimizer.lr=1e999 | optimizer.lr is Infinity but must be finite",
            "schedule.warmup_factors=[1, .inf] | schedule.warmup_factors is [1,Infinity] but must be finite",
            "train.ema=1 | train.ema is 1.0 but must be in [0, 1)",
            "augment.roll=perhaps | augment.roll is \"perhaps\" but must be true or false",
            "schedule.step_epochs=5 | schedule.step_epochs is 5 but must be a list",
            "schedule.step_epochs=[a] | schedule.step_epochs", "train.seed=99999999999999999999 | train.seed",
            "loss.kind=hinge | loss.kind is 'hinge' but must be one of cross-entropy, binary-cross-entropy",
            "augment.mixup_kind=[] | augment.mixup_kind is [] but must be a name",
            "sampling=random | sampling is 'random' but must be one of shuffle, balanced, weighted",
            "train.epochs=: | is not YAML", ".=1 | has no '.'", "train.=1 | has no 'train.'"})
    void nonsenseOnTheCommandLine(String setting, String message) {
        int equals = setting.indexOf('=');
        Map<String, String> settings = Map.of(setting.substring(0, equals), setting.substring(equals + 1));
        assertThatThrownBy(() -> Recipe.of("esc50", settings)).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining(message).hasMessageEndingWith(".").message().hasLineCount(1);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"trian: {epochs: 1} | has no 'trian'",
            "train: {epoch: 1} | has no 'train.epoch'", "train: 5 | train is 5 but must be several keys",
            "base: nothing | base 'nothing'", "'- 1' | must hold lines of 'key: value'",
            "'train: {epochs: 1' | is not YAML", "'sampling: a\n\nsampling: b' | is not YAML",
            "'train:\n\tepochs: 1' | that cannot start any token"})
    void nonsenseInAFile(String yaml, String message) throws IOException {
        Path file = Files.writeString(folder.resolve("bad.yaml"), yaml);
        assertThatThrownBy(() -> Recipe.of(file.toString(), Map.of())).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining(message).message().hasLineCount(1);
    }

    @Test
    void aFileThatIsNoText() throws IOException {
        Path file = Files.write(folder.resolve("recipe.yaml"), new byte[] {(byte) 0xff, (byte) 0xff});
        assertThatThrownBy(() -> Recipe.of(file.toString(), Map.of())).isInstanceOf(ConfigurationException.class)
                .hasMessage(file + ": is not a recipe: it is no text in UTF-8.");
    }

    /** A process' own memory is a file whose first byte nobody may read. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void aFileThatCannotBeRead() {
        assertThatThrownBy(() -> Recipe.of("/proc/self/mem", Map.of())).isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith("/proc/self/mem: cannot be read (");
    }

    @Test
    void noSuchRecipe() {
        assertThatThrownBy(() -> Recipe.of("esc11", Map.of())).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("no recipe 'esc11'").hasMessageContaining("esc10");
    }
}

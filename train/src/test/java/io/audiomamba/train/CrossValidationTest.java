package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.data.Tones;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.evaluation.Predictions;
import io.audiomamba.torch.Devices;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.ObjectMapper;

/** A tiny model on made-up tones, and runs that are written by hand. */
class CrossValidationTest {

    private static final Dataset TONES = Tones.dataset(List.of("low", "high"), 2, 1);
    private static final Recipe RECIPE = Recipe.of("esc10", Map.of("model.preset", "nano_s1", "train.epochs", "1",
            "train.batch_size", "2", "train.seed", "7"));

    @TempDir
    private Path folder;

    private final List<String> trained = new ArrayList<>();

    private void run(int seeds, int part, int parts) {
        new CrossValidation(TONES, folder).run(RECIPE, seeds, part, parts, Devices.cpu(),
                (run, _) -> trained.add(run));
    }

    @Test
    void everyFoldAndSeedOnceHoweverTheWorkIsShared() throws IOException {
        run(2, 1, 2);
        assertThat(trained).containsExactly("fold 2 seed 7", "fold 2 seed 8");
        CrossValidation validation = new CrossValidation(TONES, folder);
        assertThatThrownBy(validation::summary).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("no seed whose folds are all done");
        run(2, 0, 1);
        assertThat(trained.subList(2, 4)).containsExactly("fold 1 seed 7", "fold 1 seed 8");
        run(2, 0, 1);
        assertThat(trained).hasSize(4);

        List<CrossValidation.Run> runs = validation.runs();
        assertThat(runs).hasSize(4).allMatch(run -> run.plain().clips().size() == 2)
                .allMatch(run -> run.plain().clips().stream().allMatch(clip -> clip.contains("-" + run.fold() + "-")));
        CrossValidation.Summary summary = validation.summary();
        assertThat(summary.runs()).isEqualTo(4);
        assertThat(summary.foldAccuracies()).containsOnlyKeys(1, 2);
        assertThat(summary.accuracy().mean()).isBetween(0.0, 1.0);

        // The same work again gives the same figures to the bit.
        Path file = folder.resolve("fold1-seed8.json");
        String before = Files.readString(file);
        Files.delete(file);
        run(2, 0, 1);
        assertThat(trained).hasSize(5).last().isEqualTo("fold 1 seed 8");
        assertThat(file).hasContent(before);
    }

    /** Two clips a fold, one class each; {@code certainty} is the logit of the class {@code answers} gives. */
    private void write(int fold, long seed, float certainty, int... answers) throws IOException {
        Dataset held = TONES.fold(fold);
        float[][] logits = new float[answers.length][2];
        for (int i = 0; i < answers.length; i++) {
            logits[i][answers[i]] = certainty;
        }
        Predictions predictions = Predictions.of(held, logits);
        Files.writeString(folder.resolve("fold%d-seed%d.json".formatted(fold, seed)),
                new ObjectMapper().writeValueAsString(new CrossValidation.Run(fold, seed, predictions, predictions)));
    }

    @Test
    void meanAndDeviation() throws IOException {
        write(1, 1, 1, 0, 1);
        write(2, 1, 1, 0, 1);
        write(1, 2, 3, 1, 1);
        write(2, 2, 1, 0, 1);
        write(1, 3, 1, 1, 0);
        CrossValidation.Summary summary = new CrossValidation(TONES, folder).summary();
        assertThat(summary.runs()).as("the third seed lacks a fold").isEqualTo(4);
        assertThat(summary.accuracy().mean()).isEqualTo((1 + 0.75) / 2);
        assertThat(summary.accuracy().deviation()).isCloseTo(0.25 / Math.sqrt(2), within(1e-12));
        assertThat(summary.foldAccuracies()).isEqualTo(Map.of(1, 0.75, 2, 1.0));
        assertThat(summary.ensemble()).as("the surer, wrong seed wins in one clip").isEqualTo(0.75);
    }

    @Test
    void aClipThatCannotBeDecodedIsLeftOut() throws IOException {
        List<Clip> clips = new ArrayList<>(TONES.clips());
        clips.add(new Clip(Tones.BROKEN, Path.of("x.wav"), List.of(0), 1));
        Dataset dataset = new Dataset("tones", TONES.labels(), clips, List.of(), TONES.sounds());
        write(1, 1, 1, 0, 1);
        write(2, 1, 1, 0, 1);
        assertThat(new CrossValidation(dataset, folder).summary().ensemble()).isEqualTo(1);
    }

    @Test
    void aDamagedRun() throws IOException {
        Files.writeString(folder.resolve("fold1-seed1.json"), "{");
        assertThatThrownBy(() -> new CrossValidation(TONES, folder).summary())
                .isInstanceOf(ConfigurationException.class).hasMessageContaining("fold1-seed1.json");
    }

    @Test
    void noFolds() {
        assertThatThrownBy(() -> new CrossValidation(TONES.fold(1), folder))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("tones: has no folds to cross-validate with.");
    }
}

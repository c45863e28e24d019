package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.data.Tones;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.evaluation.Calibration;
import io.audiomamba.evaluation.Predictions;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.Parameters;
import io.audiomamba.torch.Devices;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import javax.imageio.ImageIO;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/** A tiny model on made-up tones, and runs that are written by hand. */
class CrossValidationTest {

    private static final Dataset TONES = Tones.dataset(List.of("low", "high"), 2, 1);
    private static final Recipe RECIPE = Recipe.of("esc10", Map.of("model.preset", "nano_s1", "train.epochs", "1",
            "train.batch_size", "3", "train.seed", "7"));

    @TempDir
    private Path folder;

    private final List<String> trained = Collections.synchronizedList(new ArrayList<>());
    private final AtomicInteger models = new AtomicInteger();
    private final List<String> skipped = Collections.synchronizedList(new ArrayList<>());

    private CrossValidation validation(Dataset dataset) {
        return new CrossValidation(RECIPE, InitialWeights.RANDOM, dataset, folder);
    }

    private void run(Dataset dataset, int seeds, int part, int parts) {
        run(dataset, InitialWeights.RANDOM, seeds, part, parts);
    }

    private void run(Dataset dataset, InitialWeights weights, int seeds, int part, int parts) {
        new CrossValidation(RECIPE, weights, dataset, folder).run(seeds, part, parts, 2, Devices.cpu(),
                new CrossValidation.Listener() {
                    @Override
                    public void epoch(String run, Trainer.Epoch epoch) {
                        trained.add(run);
                    }

                    @Override
                    public void skipped(String run, String reason) {
                        skipped.add(run + ": " + reason);
                    }
                });
    }

    @Test
    void everyFoldAndSeedOnceHoweverTheWorkIsShared() throws IOException {
        run(TONES, 2, 1, 2);
        assertThat(trained).containsExactlyInAnyOrder("fold 2 seed 7", "fold 2 seed 8");
        CrossValidation validation = validation(TONES);
        assertThatThrownBy(validation::summary).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("no seed whose folds are all done");
        run(TONES, 2, 0, 1);
        assertThat(trained.subList(2, 4)).containsExactlyInAnyOrder("fold 1 seed 7", "fold 1 seed 8");
        run(TONES, 2, 0, 1);
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
        run(TONES, 2, 0, 1);
        assertThat(trained).hasSize(5).last().isEqualTo("fold 1 seed 8");
        assertThat(file).hasContent(before);
    }

    /** Two clips a fold, one class each; {@code certainty} is the logit of the class {@code answers} gives. */
    private void write(int fold, long seed, float certainty, int... answers) throws IOException {
        run(TONES, 0, 0, 1);
        float[][] logits = new float[answers.length][2];
        for (int i = 0; i < answers.length; i++) {
            logits[i][answers[i]] = certainty;
        }
        write(fold, seed, logits);
    }

    private void write(int fold, long seed, float[][] logits) throws IOException {
        Predictions predictions = Predictions.of(TONES.fold(fold), logits);
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
        CrossValidation.Summary summary = validation(TONES).summary();
        assertThat(summary.runs()).as("the third seed lacks a fold").isEqualTo(4);
        assertThat(summary.accuracy().mean()).isEqualTo((1 + 0.75) / 2);
        assertThat(summary.accuracy().deviation()).isCloseTo(0.25 / Math.sqrt(2), within(1e-12));
        assertThat(summary.foldAccuracies()).extractingByKeys(1, 2).extracting(CrossValidation.Figure::mean)
                .containsExactly(0.75, 1.0);
        assertThat(summary.foldAccuracies().get(2).deviation()).isZero();
        assertThat(summary.foldDeviation()).isCloseTo(0.25 / Math.sqrt(2), within(1e-12));
        assertThat(summary.ensemble()).as("the surer, wrong seed wins in one clip").isEqualTo(0.75);
    }

    /** One clip's logits are all higher: among probabilities that sum to one that changes nothing. */
    @Test
    void aModelOfSigmoidsIsMeasuredAndCalibratedByThem() throws IOException {
        Recipe recipe = Recipe.of("esc10", Map.of("loss.kind", "binary-cross-entropy"));
        CrossValidation validation = new CrossValidation(recipe, InitialWeights.RANDOM, TONES, folder);
        validation.run(0, 0, 1, 1, Devices.cpu(), null);
        float[][] logits = {{1, 0.5f}, {3, 3.5f}};
        write(1, 7, logits);
        write(2, 7, logits);
        CrossValidation.Summary summary = validation.summary();
        assertThat(summary.accuracy().mean()).isEqualTo(1);
        assertThat(summary.meanAveragePrecision().mean()).isEqualTo(0.75);
        Predictions fold = Predictions.of(TONES.fold(1), logits);
        double temperature = Calibration.temperature(fold, Activation.SIGMOID);
        assertThat(summary.temperature()).isCloseTo(temperature, within(1e-6));
        assertThat(summary.uncalibratedError()).isCloseTo(Calibration.error(fold, Activation.SIGMOID, 1), within(1e-6));
        assertThat(summary.error()).isCloseTo(Calibration.error(fold, Activation.SIGMOID, temperature), within(1e-6));
        new CrossValidationReport("tones", Activation.SIGMOID, summary, validation.runs()).write(folder);
        assertThat(Files.readAllLines(folder.resolve("crossval.csv")).get(1)).startsWith("7,1,2,1.0,0.75,");
    }

    @Test
    void files() throws IOException {
        write(2, 1, 1, 0, 1);
        write(1, 1, 1, 0, 0);
        CrossValidation validation = validation(TONES);
        new CrossValidationReport("tones", Activation.SOFTMAX, validation.summary(), validation.runs()).write(folder);
        JsonNode json = new ObjectMapper().readTree(folder.resolve("crossval.json").toFile());
        assertThat(json.at("/accuracy/mean").asDouble()).isEqualTo(0.75);
        assertThat(json.at("/accuracy/deviation").isNull()).isTrue();
        assertThat(Files.readAllLines(folder.resolve("crossval.csv"))).hasSize(3).satisfies(lines -> {
            assertThat(lines.get(0)).startsWith("seed,fold,clips,accuracy,mAP");
            assertThat(lines.get(1)).startsWith("1,1,2,0.5,");
            assertThat(lines.get(2)).startsWith("1,2,2,1.0,1.0,1.0,1.0,1.0");
        });
        assertThat(Files.exists(folder.resolve("crossval.png"))).isEqualTo(Fonts.available());
        if (Fonts.available()) {
            assertThat(ImageIO.read(folder.resolve("crossval.png").toFile()).getWidth()).isEqualTo(900);
        }
        assertThat(validation.runs()).as("the files of the report are no runs").hasSize(2);
    }

    @Test
    void aClipThatCannotBeDecodedIsLeftOut() throws IOException {
        List<Clip> clips = new ArrayList<>(TONES.clips());
        clips.add(new Clip(Tones.BROKEN, Path.of("x.wav"), List.of(0), 1));
        Dataset dataset = new Dataset("tones", TONES.labels(), clips, List.of(), TONES.sounds());
        run(dataset, 1, 0, 1);
        assertThat(skipped).as("held out in the first run, trained on in the second").containsExactlyInAnyOrder(
                "fold 1 seed 7: broken: is damaged after 0.10 s.", "fold 2 seed 7: broken: is damaged after 0.10 s.");
        assertThat(validation(dataset).runs()).allMatch(run -> run.plain().clips().size() == 2);
        assertThat(validation(dataset).summary().runs()).isEqualTo(2);
    }

    @Test
    void everyRunBeginsWithTheGivenWeights() {
        run(TONES, weights("counted"), 1, 0, 1);
        assertThat(models).hasValue(2);
    }

    /** Random ones by another name, which count the models that begin with them. */
    private InitialWeights weights(String name) {
        return new InitialWeights() {
            @Override
            public Parameters.Source source(ModelConfig model, Parameters.Source random) {
                models.incrementAndGet();
                return random;
            }

            @Override
            public String provenance() {
                return name;
            }

            @Override
            public String fingerprint() {
                return name;
            }
        };
    }

    @Test
    void aDamagedRun() throws IOException {
        write(1, 1, 1, 0, 1);
        Path file = folder.resolve("fold1-seed1.json");
        String run = Files.readString(file);
        for (String damaged : List.of("{", "null", run.replaceFirst("\\[1.0,0.0]", "[1.0]"),
                run.replaceFirst("\\[1.0,0.0]", "null"), run.replaceFirst("\\[1.0,0.0],", ""),
                run.replaceFirst("\\[true,false]", "[true]"), run.replaceFirst("\"low-1-0\",", ""))) {
            assertThat(damaged).isNotEqualTo(run);
            assertDamaged(file, damaged);
        }
        assertDamaged(folder.resolve("origin.json"), "{");
        assertDamaged(folder.resolve("origin.json"), "null");
    }

    private void assertDamaged(Path file, String content) throws IOException {
        Files.writeString(file, content);
        assertThatThrownBy(() -> validation(TONES).summary()).as(content).isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith(file + ": is damaged");
    }

    /** Such as of an earlier version of the dataset whose origin.json was put in order by hand. */
    @Test
    void aRunOfOtherClassesOrClips() throws IOException {
        write(1, 1, 1, 0, 1);
        Path file = folder.resolve("fold1-seed1.json");
        String run = Files.readString(file);
        for (String other : List.of(run.replace("[1.0,0.0],[0.0,1.0]", "[1.0,0.0,0.0],[0.0,1.0,0.0]"),
                run.replace("[true,false],[false,true]", "[true],[false]"), run.replaceFirst("low-1-0", "low-2-0"),
                run.replaceFirst("low-1-0", "high-1-0"), run.replaceFirst("\"low-1-0\"", "null"))) {
            assertThat(other).isNotEqualTo(run);
            Files.writeString(file, other);
            for (ThrowingCallable use : List.<ThrowingCallable>of(() -> validation(TONES).summary(),
                    () -> run(TONES, 1, 0, 1))) {
                assertThatThrownBy(use).as(other).isInstanceOf(ConfigurationException.class)
                        .hasMessage(
                                file + ": holds predictions of other classes than the dataset's, or of other clips than"
                                        + " the fold's; delete it, and the run will be made again.");
            }
        }
        assertThat(trained).isEmpty();
    }

    @Test
    void tooManySeeds() {
        assertThatThrownBy(() -> run(TONES, Integer.MAX_VALUE, 0, 1)).isInstanceOf(ConfigurationException.class)
                .hasMessage("There are 2147483647 seeds, but there may be at most 1000; ask for fewer.");
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void aSummaryThatIsNotWhole() {
        for (String json : List.of("{}", "null", "{\"runs\":3}", "[]", "{")) {
            assertThat(CrossValidation.Summary.of(Map.of(CrossValidation.Summary.PROVENANCE, json))).as(json).isEmpty();
        }
    }

    private void assertRefused(String what, Recipe recipe, InitialWeights weights, Dataset dataset) {
        CrossValidation other = new CrossValidation(recipe, weights, dataset, folder);
        for (ThrowingCallable use : List.<ThrowingCallable>of(other::summary,
                () -> other.run(2, 0, 1, 1, Devices.cpu(), null))) {
            assertThatThrownBy(use).isInstanceOf(ConfigurationException.class)
                    .hasMessageContaining("holds runs of something else: their " + what + " is not this call's");
        }
    }

    /** Neither are they made there, nor taken for this cross-validation's. */
    @Test
    void runsOfSomethingElse() throws IOException {
        write(1, 7, 1, 0, 1);
        write(2, 7, 1, 0, 1);
        assertRefused("recipe", Recipe.of("esc10", Map.of("model.preset", "nano_s1")), InitialWeights.RANDOM, TONES);
        assertRefused("weights", RECIPE, weights("other"), TONES);
        assertRefused("data", RECIPE, InitialWeights.RANDOM, Tones.dataset(List.of("low", "high"), 2, 2));
        List<Clip> cutAnew = TONES.clips().stream()
                .map(clip -> new Clip(clip.name(), clip.file(), clip.labels(), clip.fold() + 5)).toList();
        assertRefused("data", RECIPE, InitialWeights.RANDOM,
                new Dataset("tones", TONES.labels(), cutAnew, List.of(), TONES.sounds()));
        assertThat(new CrossValidation(RECIPE.withSeed(99), InitialWeights.RANDOM, TONES, folder).summary().runs())
                .as("another seed makes more runs of the same").isEqualTo(2);
        Path changed = folder.resolve("changed.yaml");
        Files.writeString(changed, RECIPE.toYaml());
        Recipe elsewhere = Recipe.of(changed.toString(), Map.of("train.workers", "3", "train.save_every", "7"));
        assertThat(new CrossValidation(elsewhere, InitialWeights.RANDOM, TONES, folder).summary().runs()).isEqualTo(2);
        for (String file : List.of("recipe.yaml", "origin.json")) {
            Files.delete(folder.resolve(file));
            assertThatThrownBy(() -> validation(TONES).summary()).isInstanceOf(ConfigurationException.class)
                    .hasMessageContaining("holds runs, but not both origin.json and recipe.yaml");
        }
    }

    @Test
    void aTrainingInTheSameFolder() throws IOException {
        for (String file : List.of(".lock", "state.safetensors")) {
            Files.createFile(folder.resolve(file));
            assertThatThrownBy(() -> run(TONES, 2, 0, 1)).isInstanceOf(ConfigurationException.class)
                    .hasMessage(folder + ": holds a training; name another folder.");
            Files.delete(folder.resolve(file));
        }
    }

    /** It is said before the runs that are missing are made. */
    @Test
    void aRunThatIsNotWhatItsNameSays() throws IOException {
        write(1, 7, 1, 0, 1);
        Path second = folder.resolve("fold2-seed7.json");
        Files.copy(folder.resolve("fold1-seed7.json"), second);
        assertThatThrownBy(() -> run(TONES, 2, 0, 1)).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("fold2-seed7.json: holds the run of another fold or seed; delete it");
        Files.writeString(second, "{\"fold\":2,\"seed\":7}");
        assertThatThrownBy(() -> run(TONES, 2, 0, 1)).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("fold2-seed7.json: is damaged; delete it");
    }

    @Test
    void aRunOfAFoldThatTheDatasetDoesNotHave() throws IOException {
        write(1, 7, 1, 0, 1);
        Files.copy(folder.resolve("fold1-seed7.json"), folder.resolve("fold9-seed7.json"));
        String run = Files.readString(folder.resolve("fold9-seed7.json"));
        Files.writeString(folder.resolve("fold9-seed7.json"), run.replace("\"fold\":1", "\"fold\":9"));
        assertThatThrownBy(() -> validation(TONES).summary()).isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("fold9-seed7.json: holds predictions of other classes than the dataset's, or of"
                        + " other clips than the fold's");
    }

    @Test
    void noFolds() {
        assertThatThrownBy(() -> validation(TONES.fold(1)))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("tones: has no folds to cross-validate with.");
    }
}

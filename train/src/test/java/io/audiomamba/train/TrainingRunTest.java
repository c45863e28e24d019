package io.audiomamba.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.data.Clip;
import io.audiomamba.data.Dataset;
import io.audiomamba.data.Tones;
import io.audiomamba.error.AudioMambaException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.evaluation.Metrics;
import io.audiomamba.torch.Devices;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

class TrainingRunTest {

    @TempDir
    private static Path data;

    @TempDir
    private Path folder;

    private static Dataset tones;

    /** Remembers what it is told, and does something at each step. */
    private static final class Listener implements TrainingListener {
        private final List<String> unreadable = new ArrayList<>();
        private final List<String> warnings = new ArrayList<>();
        private final List<Step> steps = new ArrayList<>();
        private final List<Trainer.Epoch> epochs = new ArrayList<>();
        private final Consumer<Step> atStep;

        Listener(Consumer<Step> atStep) {
            this.atStep = atStep;
        }

        @Override
        public void step(Step step) {
            steps.add(step);
            atStep.accept(step);
        }

        @Override
        public void epoch(Trainer.Epoch epoch, Metrics metrics) {
            epochs.add(epoch);
        }

        @Override
        public void unreadable(String reason) {
            unreadable.add(reason);
        }

        @Override
        public void warning(String sentence) {
            warnings.add(sentence);
        }
    }

    private static final TrainingRun.Setting SETTING = new TrainingRun.Setting(Devices.cpu(), InitialWeights.RANDOM,
            null, DType.F32);

    @BeforeAll
    static void sounds() {
        tones = TinyTraining.twoClasses(data.resolve("tones"), 2);
    }

    private TrainingRun run(String name, Dataset training, String... settings) {
        return new TrainingRun(folder.resolve(name), TinyTraining.recipe(settings), training, tones);
    }

    private static Listener quiet() {
        return new Listener(_ -> {});
    }

    private List<JsonNode> lines(String name) throws IOException {
        return Files.readAllLines(folder.resolve(name).resolve("metrics.jsonl")).stream()
                .map(new ObjectMapper()::readTree).toList();
    }

    private static List<Double> losses(List<JsonNode> lines) {
        return lines.stream().map(line -> line.get("loss").asDouble()).toList();
    }

    @Test
    void leavesModelsFiguresAndTheRecipe() throws IOException {
        Listener listener = quiet();
        TrainingRun.Outcome outcome = run("run", tones).run(SETTING, false, listener);
        assertThat(outcome.finished()).isTrue();
        assertThat(outcome.unreadable()).isEmpty();
        List<String> pictures = Fonts.available() ? List.of("curves.png") : List.of();
        assertThat(listener.warnings).isEqualTo(Fonts.available()
                ? List.of()
                : List.of("The learning curves cannot be drawn: Java finds no fonts on this machine."));
        assertThat(listener.steps).hasSize(4);
        assertThat(listener.epochs).extracting(Trainer.Epoch::number).containsExactly(1, 2);
        assertThat(Recipe.of(folder.resolve("run").resolve("recipe.yaml").toString(), java.util.Map.of()))
                .isEqualTo(TinyTraining.recipe());
        assertThat(lines("run")).hasSize(2).allMatch(line -> line.get("mAP").asDouble() > 0
                && line.get("accuracy").asDouble() >= 0 && line.get("skipped").asInt() == 0);
        for (String model : List.of("last", "best")) {
            try (Checkpoint checkpoint = Checkpoint.open(folder.resolve("run").resolve(model + ".safetensors"))) {
                assertThat(checkpoint.description().labels()).containsExactly("high", "low");
                assertThat(checkpoint.description().provenance()).containsKeys("recipe", "data", "weights");
                checkpoint.load().parameters().close();
            }
        }
        assertThat(folder.resolve("run").resolve("report.html")).content().contains("Learning curves", "low");
        try (var files = Files.list(folder.resolve("run"))) {
            List<String> expected = new ArrayList<>(pictures);
            expected.addAll(List.of(".lock", "recipe.yaml", "metrics.jsonl", "last.safetensors", "best.safetensors",
                    "state.safetensors", "report.html", "events.out.tfevents.audiomamba"));
            assertThat(files.map(file -> file.getFileName().toString())).containsExactlyInAnyOrderElementsOf(expected);
        }
    }

    /** Stopped in the middle of an epoch, between epochs, and where two batches are a step. */
    @ParameterizedTest
    @CsvSource({"1,1,2", "2,1,2", "1,2,1"})
    void resumingGoesOnExactly(int stopAfter, int accumulate, int batchSize) throws IOException {
        String[] settings = {"train.average_last=2", "sampling=weighted", "optimizer.accumulate=" + accumulate,
                "train.batch_size=" + batchSize};
        run("whole", tones, settings).run(SETTING, false, quiet());
        TrainingRun[] first = new TrainingRun[1];
        Listener stopper = new Listener(step -> {
            if ((step.epoch() - 1) * step.batches() + step.batch() == stopAfter) {
                first[0].stop();
            }
        });
        first[0] = run("parts", tones, settings);
        assertThat(first[0].run(SETTING, false, stopper).finished()).isFalse();
        assertThat(stopper.steps.size()).isEqualTo(stopAfter + accumulate - 1);
        assertThat(run("parts", tones, settings).run(SETTING, true, quiet()).finished()).isTrue();
        assertThat(losses(lines("parts"))).hasSize(2).isEqualTo(losses(lines("whole")));
        for (String file : List.of("last.safetensors", "best.safetensors", "state.safetensors")) {
            assertThat(folder.resolve("parts").resolve(file)).hasSameBinaryContentAs(
                    folder.resolve("whole").resolve(file));
        }
    }

    /** Evaluates on more clips than a batch holds; {@code atClip} is run before each is read. */
    private TrainingRun evaluating(String name, Runnable atClip) {
        List<Clip> clips = IntStream.range(0, 20).mapToObj(i -> new Clip("" + i, Path.of("" + i), List.of(i % 2), 0))
                .toList();
        Dataset heldOut = new Dataset("many", tones.labels(), clips, List.of(), new Dataset.Sounds() {
            @Override
            public float[] read(Clip clip, int sampleRate) {
                atClip.run();
                return Tones.tone(sampleRate, 200 + 100 * Integer.parseInt(clip.name()), 0.2);
            }

            @Override
            public int storedRate(Clip clip) {
                return 8000;
            }
        });
        return new TrainingRun(folder.resolve(name), TinyTraining.recipe("train.average_last=2", "train.save_every=9"),
                tones, heldOut);
    }

    private void stopInEvaluation(String name) {
        TrainingRun[] run = new TrainingRun[1];
        run[0] = evaluating(name, () -> run[0].stop());
        Listener listener = quiet();
        assertThat(run[0].run(SETTING, true, listener).finished()).isFalse();
        assertThat(listener.epochs).isEmpty();
        assertThat(folder.resolve(name).resolve("last.safetensors")).exists();
    }

    /** In the first epoch's evaluation and in the last one's; between them in the second epoch's first step. */
    @Test
    void stoppedInAnEvaluationItGoesOnExactly() throws IOException {
        evaluating("whole", () -> {}).run(SETTING, false, quiet());
        stopInEvaluation("parts");
        assertThat(lines("parts")).isEmpty();
        TrainingRun[] second = new TrainingRun[1];
        second[0] = evaluating("parts", () -> {});
        Listener stopper = new Listener(_ -> second[0].stop());
        assertThat(second[0].run(SETTING, true, stopper).finished()).isFalse();
        assertThat(stopper.epochs).extracting(Trainer.Epoch::number).containsExactly(1);
        stopInEvaluation("parts");
        assertThat(lines("parts")).hasSize(1);
        Listener last = quiet();
        assertThat(evaluating("parts", () -> {}).run(SETTING, true, last).finished()).isTrue();
        assertThat(last.steps).as("only the evaluation was missing").isEmpty();
        assertThat(figures("parts")).hasSize(2).isEqualTo(figures("whole"));
        for (String file : List.of("last.safetensors", "best.safetensors", "state.safetensors")) {
            assertThat(folder.resolve("parts").resolve(file)).hasSameBinaryContentAs(
                    folder.resolve("whole").resolve(file));
        }
    }

    private List<List<Double>> figures(String name) throws IOException {
        return lines(name).stream().map(
                line -> Stream.of("epoch", "loss", "mAP", "mAUC").map(key -> line.get(key).asDouble()).toList())
                .toList();
    }

    @Test
    void anEvaluationThatFailsLosesNoTraining() {
        assertThatThrownBy(() -> evaluating("run", () -> {
            throw new EnvironmentException("The disk is gone.");
        }).run(SETTING, false, quiet())).hasMessage("The disk is gone.");
        Listener listener = quiet();
        assertThat(evaluating("run", () -> {}).run(SETTING, true, listener).finished()).isTrue();
        assertThat(listener.steps).allMatch(step -> step.epoch() == 2);
        assertThat(listener.epochs).hasSize(2);
    }

    @Test
    void stoppedInTheEvaluationForTheReport() throws IOException {
        evaluating("run", () -> {}).run(SETTING, false, quiet());
        Path report = folder.resolve("run").resolve("report.html");
        Files.delete(report);
        stopInEvaluation("run");
        assertThat(report).doesNotExist();
        assertThat(evaluating("run", () -> {}).run(SETTING, true, quiet()).finished()).isTrue();
        assertThat(report).exists();
    }

    /** As a power cut leaves it. */
    @Test
    void damagedLinesAreLeftOut() throws IOException {
        run("run", tones).run(SETTING, false, quiet());
        Path file = folder.resolve("run").resolve("metrics.jsonl");
        List<String> lines = Files.readAllLines(file);
        String noEpoch = lines.getLast().replace("\"epoch\":2", "\"epoch\":0");
        String noLoss = lines.getLast().replaceFirst("\"loss\":[^,]*,", "");
        Files.writeString(file,
                String.join("\n", lines.getFirst(), "null", "{}", noEpoch, noLoss, "{\"epoch\":2,\"lo"));
        Files.write(file, new byte[] {-1, 0}, StandardOpenOption.APPEND);
        Listener listener = quiet();
        assertThat(run("run", tones).run(SETTING, true, listener).finished()).isTrue();
        assertThat(listener.warnings).startsWith(Collections
                .nCopies(5, file + ": a line is damaged, and the figures of its epoch are left out.")
                .toArray(String[]::new));
        assertThat(file).hasContent(lines.getFirst() + "\n");
        assertThat(folder.resolve("run").resolve("report.html")).content().as("what the lines that are left do not say")
                .contains("epochs</th><td class=\"number\">2<", "loss of the last epoch</th><td class=\"number\">–<");
        Files.writeString(file, "{");
        Listener again = quiet();
        assertThat(run("run", tones).run(SETTING, true, again).finished()).isTrue();
        assertThat(again.warnings).contains(folder.resolve("run") + ": no figures of any epoch are left to report.");
    }

    /** The epoch whose line was lost counts all the same. */
    @Test
    void linesBehindTheStateAreDroppedByTheirNumber() throws IOException {
        run("run", tones).run(SETTING, false, quiet());
        Path file = folder.resolve("run").resolve("metrics.jsonl");
        List<String> lines = Files.readAllLines(file);
        Files.write(file, List.of(lines.get(1), lines.get(1).replace("\"epoch\":2", "\"epoch\":3")));
        run("run", tones).run(SETTING, true, quiet());
        assertThat(file).hasContent(lines.get(1) + "\n");
    }

    /** A folder where TensorBoard's file would be stands for a kill at the beginning of a resumed training. */
    @Test
    void aResumeThatIsCutOffKeepsTheHistory() throws IOException {
        run("run", tones).run(SETTING, false, quiet());
        List<JsonNode> before = lines("run");
        Path events = folder.resolve("run").resolve("events.out.tfevents.audiomamba");
        Files.delete(events);
        Files.createDirectory(events);
        assertThatThrownBy(() -> run("run", tones).run(SETTING, true, quiet()))
                .isInstanceOf(EnvironmentException.class);
        assertThat(lines("run")).hasSize(2).isEqualTo(before);
    }

    @Test
    void aFinishedTrainingIsResumedWithoutHarm() throws IOException {
        run("run", tones).run(SETTING, false, quiet());
        byte[] before = Files.readAllBytes(folder.resolve("run").resolve("last.safetensors"));
        Listener listener = quiet();
        assertThat(run("run", tones).run(SETTING, true, listener).finished()).isTrue();
        assertThat(listener.steps).isEmpty();
        assertThat(Files.readAllBytes(folder.resolve("run").resolve("last.safetensors"))).isEqualTo(before);
        assertThat(lines("run")).hasSize(2);
    }

    @Test
    void aSecondTrainingAtTheSameTime() {
        List<String> refusals = new ArrayList<>();
        Listener rival = new Listener(_ -> {
            try {
                run("run", tones).run(SETTING, false, quiet());
            } catch (ConfigurationException e) {
                refusals.add(e.getMessage());
            }
        });
        assertThat(run("run", tones).run(SETTING, false, rival).finished()).isTrue();
        assertThat(refusals.getFirst())
                .isEqualTo(folder.resolve("run") + ": another training is at work in it; name another folder.");
        assertThat(run("run", tones).run(SETTING, true, quiet()).finished()).as("afterwards").isTrue();
    }

    @Test
    void aCrossValidationInTheSameFolder() throws IOException {
        Path place = Files.createDirectories(folder.resolve("run"));
        Files.createFile(place.resolve("origin.json"));
        assertThatThrownBy(() -> run("run", tones).run(SETTING, false, quiet()))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage(place + ": holds a cross-validation; name another folder.");
    }

    @Test
    void aRecipeThatFitsNoModelLeavesNoFolder() {
        // Statistics of bn0 are left, which nothing trains.
        for (String frozen : List.of("[nothing]",
                "[patch_embed, layers, norm, tscam_conv, head, bn0.weight, bn0.bias]")) {
            assertThatThrownBy(() -> run("run", tones, "optimizer.frozen=" + frozen).run(SETTING, false, quiet()))
                    .isInstanceOf(ConfigurationException.class).hasMessageContaining("optimizer.frozen");
        }
        assertThat(folder.resolve("run")).doesNotExist();
    }

    /** Stopped after the last batch of an epoch, the next process only comes to its end. */
    @Test
    void anEpochWithoutABatchHasNoSpeed() throws IOException {
        TrainingRun[] first = new TrainingRun[1];
        first[0] = run("run", tones);
        first[0].run(SETTING, false, new Listener(step -> {
            if (step.batch() == step.batches()) {
                first[0].stop();
            }
        }));
        run("run", tones).run(SETTING, true, quiet());
        assertThat(lines("run").get(0).has("clips_per_second")).isFalse();
        assertThat(lines("run").get(1).get("clips_per_second").asDouble()).isPositive();
    }

    @Test
    void aFolderThatIsTaken() throws IOException {
        run("run", tones, "train.epochs=1").run(SETTING, false, quiet());
        assertThatThrownBy(() -> run("run", tones, "train.epochs=1").run(SETTING, false, quiet()))
                .isInstanceOf(ConfigurationException.class).hasMessageContaining("--resume");
        assertThatThrownBy(() -> run("run", tones, "train.epochs=2").run(SETTING, true, quiet()))
                .isInstanceOf(ConfigurationException.class).hasMessageContaining("another recipe");
        Dataset fewer = tones.where(clip -> !clip.name().endsWith("0.wav"));
        assertThatThrownBy(() -> run("run", fewer, "train.epochs=1").run(SETTING, true, quiet()))
                .isInstanceOf(ConfigurationException.class).hasMessageContaining("other clips");
        Files.delete(folder.resolve("run").resolve("recipe.yaml"));
        assertThatThrownBy(() -> run("run", tones, "train.epochs=1").run(SETTING, true, quiet()))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith(folder.resolve("run") + ": its recipe.yaml is missing");
    }

    @Test
    void aCorruptClipIsNamedOnceSkippedAndCounted() throws IOException {
        Path bad = data.resolve("bad");
        Dataset training = TinyTraining.twoClasses(bad, 2);
        Files.writeString(bad.resolve("low").resolve("1.wav"), "not a sound");
        Listener listener = quiet();
        TrainingRun.Outcome outcome = run("run", training).run(SETTING, false, listener);
        assertThat(listener.unreadable).hasSize(1).first().asString().contains("1.wav");
        assertThat(outcome.unreadable()).containsOnlyKeys(Path.of("low", "1.wav").toString());
        assertThat(outcome.finished()).isTrue();
        assertThat(lines("run")).allMatch(line -> line.get("skipped").asInt() == 1);
        assertThat(listener.epochs).allMatch(epoch -> epoch.clips() == 3);
        assertThat(run("run", training).run(SETTING, true, quiet())).as("when nothing is left to train")
                .isEqualTo(outcome);
    }

    @Test
    void onlyCorruptClips() throws IOException {
        Path bad = data.resolve("worse");
        Dataset training = TinyTraining.twoClasses(bad, 1);
        Files.writeString(bad.resolve("low").resolve("0.wav"), "not a sound");
        Files.writeString(bad.resolve("high").resolve("0.wav"), "");
        assertThatThrownBy(() -> run("run", training).run(SETTING, false, quiet()))
                .isInstanceOf(ConfigurationException.class).hasMessageContaining("none of its clips can be read");
        assertThat(folder.resolve("run").resolve("last.safetensors")).doesNotExist();
    }

    @Test
    void divergenceKeepsTheLastGoodCheckpoint() throws IOException {
        // One step an epoch: what the second one's breaks is met by no batch before the evaluation.
        String[] settings = {"train.epochs=3", "train.batch_size=100", "optimizer.lr=1e25",
                "optimizer.weight_decay=0.0", "schedule.kind=steps", "schedule.warmup_factors=[1e-30]"};
        Path last = folder.resolve("run").resolve("last.safetensors");
        Path good = folder.resolve("good");
        Listener keeper = new Listener(step -> {
            if (step.epoch() == 2 && step.batch() == 1) {
                try {
                    Files.copy(last, good);
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            }
        });
        assertThatThrownBy(() -> run("run", tones, settings).run(SETTING, false, keeper))
                .isInstanceOf(ConfigurationException.class).hasMessageContaining("the scores of held-out clips")
                .hasMessageContaining("what first was not finite is the ");
        assertThat(lines("run")).hasSize(1);
        assertThat(last).hasSameBinaryContentAs(good);
        try (Checkpoint checkpoint = Checkpoint.open(last)) {
            assertThat(checkpoint.tensors().values()).allSatisfy(tensor -> {
                for (float value : tensor.toFloats()) {
                    assertThat(value).isFinite();
                }
            });
        }
    }

    @Test
    void aFolderThatCannotBeMade() throws IOException {
        Files.createFile(folder.resolve("file"));
        assertThatThrownBy(() -> run("file/run", tones).run(SETTING, false, quiet()))
                .isInstanceOf(EnvironmentException.class).hasMessageContaining("cannot be written").message()
                .hasLineCount(1);
    }

    /** A file that a folder's name blocks stands for a full disk: the write fails, and the old checkpoint stays. */
    @Test
    void aCheckpointThatCannotBeWritten() throws IOException {
        TrainingRun run = run("run", tones, "train.epochs=3", "train.evaluate_every=3");
        Path state = folder.resolve("run").resolve("state.safetensors");
        Path kept = folder.resolve("kept");
        Listener blocker = new Listener(step -> {
            if (step.epoch() == 2 && step.batch() == 1) {
                try {
                    Files.copy(state, kept);
                    Files.delete(folder.resolve("run").resolve("last.safetensors"));
                    Files.createDirectories(folder.resolve("run").resolve("last.safetensors").resolve("x"));
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            }
        });
        assertThatThrownBy(() -> run.run(SETTING, false, blocker)).isInstanceOf(AudioMambaException.class)
                .hasMessageContaining("last.safetensors: cannot be written").message().hasLineCount(1);
        assertThat(state).hasSameBinaryContentAs(kept);
    }

    @Test
    void aDamagedState() throws IOException {
        run("run", tones, "train.epochs=1").run(SETTING, false, quiet());
        Path state = folder.resolve("run").resolve("state.safetensors");
        byte[] bytes = Files.readAllBytes(state);
        Files.write(state, java.util.Arrays.copyOf(bytes, bytes.length / 2));
        assertThatThrownBy(() -> run("run", tones, "train.epochs=1").run(SETTING, true, quiet()))
                .isInstanceOf(AudioMambaException.class).hasMessageContaining("state.safetensors").message()
                .hasLineCount(1);
    }
}

package io.audiomamba.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.ObjectMapper;

/** Trainings as processes of their own that are ended in the middle. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "the launcher is a bash script")
class TrainIT {

    private static final Path LAUNCHER = Path.of("..", "audiomamba").toAbsolutePath().normalize();
    private static final int EPOCHS = 6;

    @TempDir
    private Path folder;

    @BeforeEach
    void sounds() throws IOException {
        for (String name : List.of("loud", "quiet")) {
            Files.createDirectories(folder.resolve("data").resolve(name));
            for (int i = 0; i < 2; i++) {
                Sounds.noise(folder.resolve("data").resolve(name).resolve(i + ".wav"), 0.2 + 0.1 * i);
            }
        }
    }

    private Process train(String output, String... more) throws IOException {
        return start(List.of("bash", LAUNCHER.toString()), output, more);
    }

    private Process start(List<String> launcher, String output, String... more) throws IOException {
        List<String> command = new ArrayList<>(launcher);
        command.addAll(arguments(output, EPOCHS));
        command.addAll(List.of(more));
        return start(command);
    }

    private Process start(List<String> command) throws IOException {
        return new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true).start();
    }

    private static List<String> arguments(String output, int epochs) {
        return List.of("train", "--recipe", "esc50", "--data", "data", "-o", output, "--device", "cpu", "--set",
                "model.preset=nano_s1_chunky", "--set", "train.batch_size=2", "--set", "train.epochs=" + epochs,
                "--set", "train.save_every=1", "--set", "train.workers=1");
    }

    // Process.destroy would close what is still to be read; a handle only sends SIGTERM.

    /** What {@code process} says until a line has {@code text}, or until it ends. */
    private static String readTo(String text, BufferedReader output) throws IOException {
        StringBuilder read = new StringBuilder();
        for (String line = output.readLine(); line != null; line = output.readLine()) {
            read.append(line).append('\n');
            if (text != null && line.contains(text)) {
                break;
            }
        }
        return read.toString();
    }

    private static String toEnd(Process process, int code) throws Exception {
        String output = readTo(null, process.inputReader());
        assertThat(process.waitFor(5, TimeUnit.MINUTES)).isTrue();
        assertThat(process.exitValue()).as(output).isEqualTo(code);
        return output;
    }

    private List<Double> losses(String output) throws IOException {
        return Files.readAllLines(folder.resolve(output).resolve("metrics.jsonl")).stream()
                .map(line -> new ObjectMapper().readTree(line).get("loss").asDouble()).toList();
    }

    @Test
    void killedAndStoppedTrainingsGoOnExactly() throws Exception {
        toEnd(train("whole"), Main.DONE);
        Process killed = train("parts");
        readTo("epoch 2/", killed.inputReader());
        killed.destroyForcibly().waitFor();
        assertThat(killed.exitValue()).as("SIGKILL").isEqualTo(137);
        assertThat(Main.commandLine().execute("info", folder.resolve("parts").resolve("last.safetensors").toString()))
                .isEqualTo(Main.DONE);

        Process stopped = train("parts", "--resume");
        readTo("epoch 3/", stopped.inputReader());
        stopped.toHandle().destroy();
        String last = toEnd(stopped, 143);
        assertThat(last).contains("stopped; the same command with --resume goes on from here").doesNotContain("\tat ");

        toEnd(train("parts", "--resume"), Main.DONE);
        assertThat(losses("parts")).hasSize(EPOCHS).isEqualTo(losses("whole"));
        assertThat(folder.resolve("parts").resolve("last.safetensors"))
                .hasSameBinaryContentAs(folder.resolve("whole").resolve("last.safetensors"));
    }

    /** With a bar, whose library knows about terminals, and about signals, which are Java's business. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void ctrlCInATerminal() throws Exception {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/script")), "there is no script, which makes terminals");
        // Whoever runs the tests in the background ignores Ctrl-C, and all processes would too.
        Process process = start(List.of("script", "-qec", "env --default-signal=INT bash '" + LAUNCHER + "' "
                + String.join(" ", arguments("run", 200)), "/dev/null"));
        readTo("/200  loss", process.inputReader());
        process.getOutputStream().write(3);
        process.getOutputStream().flush();
        String last = toEnd(process, 130);
        assertThat(last).contains("clips/s", "%", "stopped; the same command with --resume goes on from here")
                .doesNotContain("\tat ");
        assertThat(folder.resolve("run").resolve("state.safetensors")).exists();
    }

    /** OpenBLAS' exit handler would wait for threads that compute: now and then, for good. */
    @Test
    void aCrossValidationThatIsStopped() throws Exception {
        Path list = Files.writeString(folder.resolve("folds.csv"), """
                file,labels,fold
                data/loud/0.wav,loud,1
                data/loud/1.wav,loud,2
                data/quiet/0.wav,quiet,1
                data/quiet/1.wav,quiet,2
                """);
        for (int i = 0; i < 3; i++) {
            Process process = start(List.of("bash", LAUNCHER.toString(), "crossval", "--recipe", "esc50", "--data",
                    list.toString(), "-o", "runs", "--device", "cpu", "--set", "model.preset=nano_s1_chunky", "--set",
                    "train.batch_size=2", "--set", "train.epochs=10000"));
            readTo("epoch 2 ", process.inputReader());
            process.toHandle().destroy();
            toEnd(process, 143);
        }
    }

    /** A limit on the size of files does what a full disk would. */
    @Test
    void aFullDiskLeavesTheOldCheckpoint() throws Exception {
        Process first = train("run");
        readTo("epoch 1/", first.inputReader());
        first.toHandle().destroy();
        toEnd(first, 143);
        byte[] state = Files.readAllBytes(folder.resolve("run").resolve("state.safetensors"));
        String full = toEnd(start(List.of("bash", "-c", "ulimit -f 100; exec \"$0\" \"$@\"", LAUNCHER.toString()),
                "run", "--resume"), Main.ENVIRONMENT);
        assertThat(full).contains("last.safetensors: cannot be written").doesNotContain("\tat ");
        assertThat(folder.resolve("run").resolve("state.safetensors")).hasBinaryContent(state);
        try (var files = Files.list(folder.resolve("run"))) {
            assertThat(files.map(Path::toString)).noneMatch(file -> file.endsWith(".part"));
        }
        toEnd(train("run", "--resume"), Main.DONE);
        assertThat(losses("run")).hasSize(EPOCHS);
    }
}

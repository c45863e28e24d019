package io.audiomamba.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** {@code audiomamba train} in this JVM, on a tiny dataset and with nonsense. */
class TrainCommandTest {

    @TempDir
    private static Path folder;

    private record Result(int code, String out, String err) {}

    private static Result run(String line) {
        CommandLine command = Main.commandLine();
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        command.setOut(new PrintWriter(out, true));
        command.setErr(new PrintWriter(err, true));
        int code = command.execute(line.replace("DIR", folder.toString()).split(" "));
        return new Result(code, out.toString(), err.toString());
    }

    @BeforeAll
    static void sounds() throws IOException {
        StringBuilder csv = new StringBuilder("file,labels,fold\n");
        for (int i = 0; i < 4; i++) {
            Sounds.noise(folder.resolve(i + ".wav"), 0.2 + 0.1 * i);
            csv.append("%d.wav,%s,%d%n".formatted(i, i % 2 == 0 ? "loud" : "quiet;far", 1 + i / 2));
        }
        Files.writeString(folder.resolve("clips.csv"), csv.toString());
        Files.writeString(folder.resolve("held.csv"),
                "file,labels,fold\n0.wav,loud,2\n1.wav,quiet,2\n2.wav,loud;quiet,1\n");
        Files.createDirectories(folder.resolve("empty"));
    }

    @Test
    void aTrainingWithAFoldAndACorruptClip() throws IOException {
        Files.writeString(folder.resolve("5.wav"), "not a sound");
        Files.writeString(folder.resolve("more.csv"), Files.readString(folder.resolve("clips.csv")) + "5.wav,loud,2\n");
        Result result = run(
                "train --recipe audioset-balanced --data DIR/more.csv -o DIR/run --fold 1 --device cpu --half"
                        + " --set train.precision=bfloat16"
                        + " --set model.preset=nano_s1_chunky --set train.epochs=2 --set train.batch_size=3"
                        + " --set train.evaluate_every=1 --set sampling=shuffle");
        assertThat(result.err).contains("epoch 1/2  loss ", "epoch 2/2  loss ", "mAP ", "5.wav")
                .contains("audiomamba: 1 of the clips could not be read and was left out.");
        assertThat(result.err.lines().filter(line -> line.contains("5.wav"))).as("named once").hasSize(1);
        assertThat(result.out).isEqualTo(folder.resolve("run").resolve("last.safetensors") + System.lineSeparator());
        assertThat(result.code).isEqualTo(Main.INPUT_FAILED);
        assertThat(result.err).as("the recipe's precision, on a CPU").contains("train.precision is bfloat16, but only");
        assertThat(run("tag --model DIR/run/last.safetensors DIR/0.wav").out).contains("loud");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
            "train --data DIR/clips.csv -o DIR/x | Missing required option: '--recipe",
            "train --recipe esc11 --data DIR/clips.csv -o DIR/x | no recipe 'esc11'",
            "train --recipe esc50 --data DIR/clips.csv -o DIR/x --set optimiser.lr=1 | no 'optimiser.lr'",
            "train --recipe esc50 --data DIR/clips.csv -o DIR/x --set train.epochs=0 | must be 1 or more",
            "train --recipe esc50 --data DIR/clips.csv -o DIR/x --set model.preset=big | no model variant 'big'",
            "train --recipe esc50 --data DIR/clips.csv -o DIR/x | train with --set loss.kind=binary-cross-entropy",
            "crossval --recipe esc50 --data DIR/clips.csv -o DIR/x | train with --set loss.kind=binary-cross-entropy",
            "train --recipe esc50 --data DIR/held.csv --fold 1 -o DIR/x | train with --set loss.kind=binary-cross-entropy",
            "train --recipe esc50 --data DIR/clips.csv -o DIR/x --fold 9 | there is no fold 9; there are 1, 2",
            "train --recipe esc50 --data DIR/nowhere -o DIR/x | no such file or folder",
            "train --recipe esc50 --data DIR/empty -o DIR/x | is no dataset"})
    void nonsenseIsOneSentence(String line, String message) {
        Result result = run(line);
        assertThat(result.code).isEqualTo(Main.USAGE);
        assertThat(result.err).startsWith("audiomamba: ").contains(message).doesNotContain("\tat ");
        assertThat(result.out).isEmpty();
        assertThat(folder.resolve("x")).doesNotExist();
    }

    @Test
    void aFolderThatCannotBeWritten() {
        Result result = run(
                "train --recipe esc50 --data DIR/clips.csv -o DIR/0.wav/run --set model.preset=nano_s1_chunky"
                        + " --set loss.kind=binary-cross-entropy");
        assertThat(result.code).isEqualTo(Main.ENVIRONMENT);
        assertThat(result.err.lines()).hasSize(1);
        assertThat(result.err).contains("cannot be written");
    }
}

package io.audiomamba.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/** The commands that read datasets, on four clips in two folds, one of them corrupt. */
class DataCommandsTest {

    @TempDir
    private static Path folder;

    private static Path data;
    private static Path packed;
    private static Path model;

    @BeforeAll
    static void files() throws IOException {
        Sounds.noise(folder.resolve("a.wav"), 0.5);
        Sounds.noise(folder.resolve("b.wav"), 1);
        Sounds.noise(folder.resolve("c.wav"), 0.5);
        Files.writeString(folder.resolve("d.wav"), "this is no sound");
        data = Files.writeString(folder.resolve("data.csv"), """
                file,labels,fold
                a.wav,dog,1
                b.wav,rain,1
                c.wav,dog,2
                d.wav,rain,2
                e.wav,rain,2
                """);
        Path labels = Files.writeString(folder.resolve("labels.txt"), "rain\ncat\ndog\n");
        model = folder.resolve("model.safetensors");
        assertThat(CommandRun.of("init", "--preset", "nano_s1", "--labels", labels, "-o", model).code()).isZero();
        packed = folder.resolve("packed");
        CommandRun pack = CommandRun.of("pack", data, "-o", packed);
        assertThat(pack.code()).isEqualTo(Main.INPUT_FAILED);
        assertThat(pack.out()).isEqualTo(
                packed + ": 3 clips, 2 classes, 32000 Hz; 1 clips could not be decoded\n");
        assertThat(pack.err()).contains("warning: data.csv: 1 of 5 clips are not there, such as e.wav",
                "d.wav: is not a sound file", "packing: 4 of 4 clips");
    }

    /** It would be taken for a class from then on. */
    @Test
    void nothingIsWrittenAmongClasses() throws IOException {
        Path classes = folder.resolve("classes");
        Sounds.noise(Files.createDirectories(classes.resolve("rain")).resolve("a.wav"), 0.5);
        Path among = classes.resolve("out");
        for (CommandRun run : List.of(CommandRun.of("pack", classes, "-o", among),
                CommandRun.of("train", "--recipe", "esc50", "--data", classes, "-o", among),
                CommandRun.of("crossval", "--recipe", "esc50", "--data", classes, "-o", among),
                CommandRun.of("evaluate", "--model", model, "--data", classes, "-o", among))) {
            assertThat(run.code()).isEqualTo(Main.USAGE);
            assertThat(run.err()).contains(among + ": lies in " + classes + ", where each folder is a class");
        }
        assertThat(among).doesNotExist();
        Path hidden = classes.resolve(".packed"); // as a dataset's reader does not see it
        for (Path other : List.of(folder.resolve("beside"), hidden)) {
            assertThat(CommandRun.of("pack", classes, "-o", other).code()).isEqualTo(Main.DONE);
        }
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void norByAnotherName() throws IOException {
        Path classes = folder.resolve("linked");
        Sounds.noise(Files.createDirectories(classes.resolve("rain")).resolve("a.wav"), 0.5);
        Path link = Files.createSymbolicLink(folder.resolve("link"), classes);
        for (Path[] names : new Path[][] {{link, classes}, {classes, link}}) {
            Path among = names[1].resolve("deep").resolve("out");
            CommandRun run = CommandRun.of("pack", names[0], "-o", among);
            assertThat(run.code()).isEqualTo(Main.USAGE);
            assertThat(run.err()).contains(among + ": lies in " + names[0]);
        }
    }

    @Test
    void evaluateAsText() {
        CommandRun run = CommandRun.of("evaluate", "--model", model, "--data", data, "--shifts", 2);
        assertThat(run.code()).isEqualTo(Main.INPUT_FAILED);
        assertThat(run.err()).contains("d.wav: is not a sound file", "evaluating: 4 of 4 clips");
        assertThat(run.out()).startsWith("data.csv: 3 clips, 2 classes, 1 skipped\n").contains("2 shifts", "mAP",
                "mAUC", "d'", "lwlrap", "accuracy", "calibration error", "  dog\n", "  rain\n");
    }

    @Test
    void evaluateAsJsonAndIntoAFolder() throws IOException {
        Path out = folder.resolve("evaluation");
        CommandRun run = CommandRun.of("evaluate", "--model", model, "--data", packed, "--format", "json", "-o", out);
        assertThat(run.code()).isEqualTo(Main.DONE);
        JsonNode json = new ObjectMapper().readTree(run.out());
        assertThat(json.at("/clips").asInt()).isEqualTo(3);
        assertThat(json.at("/skipped")).isEmpty();
        assertThat(Files.readString(out.resolve("evaluation.json"))).isEqualTo(run.out());
        assertThat(out.resolve("confusion.csv")).exists();
        assertThat(out.resolve("skipped.csv")).doesNotExist();
        assertThat(CommandRun.of("evaluate", "--model", model, "--data", packed, "--format", "csv").out())
                .isEqualTo(Files.readString(out.resolve("classes.csv")));
    }

    @Test
    void anEvaluationThatCannotBeWrittenIsNotBegun() throws IOException {
        Path file = Files.writeString(folder.resolve("a file"), "");
        CommandRun run = CommandRun.of("evaluate", "--model", model, "--data", packed, "-o", file);
        assertThat(run.err()).startsWith("audiomamba: " + file + ": cannot be written").hasLineCount(1);
        assertThat(run.out()).isEmpty();
    }

    @Test
    void figuresArePrintedEvenIfTheirFilesCannotBeWritten() throws IOException {
        Path out = folder.resolve("blocked");
        Files.createDirectories(out.resolve("classes.csv").resolve("not empty"));
        CommandRun run = CommandRun.of("evaluate", "--model", model, "--data", packed, "-o", out);
        assertThat(run.err()).contains("classes.csv: cannot be written");
        assertThat(run.out()).contains("mAP");
        assertThat(run.code()).isNotEqualTo(Main.DONE);
    }

    /** Whatever looks for a packed dataset in a folder would find one there from then on, instead of the sounds. */
    @Test
    void packingIntoTheDatasetItself() throws IOException {
        Path sounds = folder.resolve("sounds");
        for (String name : List.of("dog", "rain")) {
            Files.createDirectories(sounds.resolve(name));
            Sounds.noise(sounds.resolve(name).resolve("a.wav"), 0.5);
        }
        for (Path source : List.of(sounds, data)) {
            Path target = source.equals(data) ? folder : sounds;
            CommandRun run = CommandRun.of("pack", source, "-o", target);
            assertThat(run.code()).isEqualTo(Main.USAGE);
            assertThat(run.err()).contains("audiomamba: " + target + ": holds other files, such as ");
            assertThat(target.resolve("index.json")).doesNotExist();
        }
    }

    @Test
    void filesThatAreNoSoundsAreIgnoredAndSaidSo() throws IOException {
        Path sounds = Files.createDirectories(folder.resolve("noted").resolve("dog")).getParent();
        Sounds.noise(sounds.resolve("dog").resolve("a.wav"), 0.5);
        Files.writeString(sounds.resolve("dog").resolve("notes.txt"), "recorded at home");
        CommandRun run = CommandRun.of("stats", sounds);
        assertThat(run.err()).contains(
                "audiomamba: warning: noted: 1 of 2 files are not named as sounds, such as dog/notes.txt");
        assertThat(run.out()).startsWith("noted: 1 clips, 1 classes");
        assertThat(run.code()).isEqualTo(Main.DONE);
    }

    @Test
    void packingBesideAHiddenFile() throws IOException {
        Path target = Files.createDirectories(folder.resolve("hidden"));
        Files.createFile(target.resolve(".DS_Store"));
        CommandRun.of("pack", data, "-o", target);
        assertThat(target.resolve("index.json")).exists();
    }

    @Test
    void evaluateOneFold() {
        CommandRun run = CommandRun.of("evaluate", "--model", model, "--data", packed, "--fold", 1);
        assertThat(run.out()).startsWith("data.csv: 2 clips, 2 classes\n");
    }

    @Test
    void stats() {
        CommandRun text = CommandRun.of("stats", data);
        assertThat(text.code()).isEqualTo(Main.INPUT_FAILED);
        assertThat(text.err()).contains("1 of 5 clips are not there", "d.wav: is not a sound file");
        assertThat(text.out()).startsWith("data.csv: 4 clips, 2 classes, 0.0 min; 1 missing, 1 cannot be decoded\n")
                .contains("  clips  fold 1  fold 2  class\n      2       1       1  dog\n", "seconds      0.50 to 1.00",
                        "3 of 8000 Hz", "groups with equal samples: 1", "a.wav (dog, fold 1) = c.wav (dog, fold 2)",
                        "htsat-logmel: mean -");
        CommandRun json = CommandRun.of("stats", packed, "--format", "json", "--front-end", "kaldi-fbank");
        assertThat(json.code()).isEqualTo(Main.DONE);
        JsonNode root = new ObjectMapper().readTree(json.out());
        assertThat(root.at("/clips_by_fold_and_class/2/dog").asInt()).isEqualTo(1);
        assertThat(root.at("/clips_by_sample_rate/32000").asInt()).isEqualTo(3);
        assertThat(root.at("/equal/0").toString()).isEqualTo("[\"a.wav\",\"c.wav\"]");
        assertThat(root.at("/front_end/bin_means")).hasSize(128);
        assertThat(CommandRun.of("stats", data, "--front-end", "mfcc").code()).isEqualTo(Main.USAGE);
    }

    @Test
    void labelsThatDiffer() throws IOException {
        Path other = Files.writeString(folder.resolve("other.csv"), "file,labels\na.wav,hound\nb.wav,rain\n");
        CommandRun run = CommandRun.of("evaluate", "--model", model, "--data", other);
        assertThat(run.code()).isEqualTo(Main.USAGE);
        assertThat(run.err()).startsWith("audiomamba: The model does not know 1 of the dataset's 2 classes: 'hound';"
                + " those that only the model has: 'cat', 'dog'").hasLineCount(1);
        Path map = Files.writeString(folder.resolve("map.csv"), "dataset,model\nhound,dog\n");
        assertThat(CommandRun.of("evaluate", "--model", model, "--data", other, "--label-map", map).code())
                .isEqualTo(Main.DONE);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {"evaluate --model MODEL | Missing required option: '--data",
            "evaluate --model MODEL --data nowhere | nowhere: there is no such file or folder.",
            "evaluate --model MODEL --data PACKED --fold 9 | data.csv: there is no fold 9; there are 1, 2.",
            "evaluate --model MODEL --data PACKED --shifts 0 | --shifts is 0 but must be 1 to 1000.",
            "evaluate --model MODEL --data PACKED --shifts 2147483647 | --shifts is 2147483647 but must be 1 to 1000.",
            "evaluate --model MODEL --data PACKED --format xml | '--format'",
            "evaluate --model MODEL --data PACKED --label-map none.csv | none.csv: there is no such file.",
            "train --recipe esc10 --data PACKED --fold 9 -o OUT | data.csv: there is no fold 9",
            "train --recipe esc10 --data PACKED --fold 1 -o OUT | without fold 1 there is no clip of rain",
            "crossval --recipe esc10 --data PACKED --part 0/3 -o OUT | --part must be like 2/15",
            "crossval --recipe esc10 --data PACKED --part 3/2 -o OUT | --part is 3/2, but there are only 2 parts",
            "crossval --recipe esc10 --data PACKED --seeds 0 -o OUT | --seeds 1 to 1000, and --jobs 1 or more",
            "crossval --recipe esc10 --data PACKED --seeds 2147483647 -o OUT | --seeds 1 to 1000, and --jobs 1 or more",
            "train --recipe esc10 --data PACKED --crossval nowhere -o OUT | nowhere: there is no such folder.",
            "pack --rate 999 DATA -o OUT | The sample rate is 999 Hz but must be 1000 to 384000",
            "pack --rate -5 DATA -o OUT | The sample rate is -5 Hz",
            "pack --rate 2000000000 DATA -o OUT | The sample rate is 2000000000 Hz",
            "pack --rate 16000 DATA -o PACKED | holds data.csv at 32000 Hz; pack data.csv at 16000 Hz into another"})
    void wrongUsage(String line, String message) {
        Path out = folder.resolve("never");
        CommandRun run = CommandRun.of((Object[]) line.replace("MODEL", model.toString())
                .replace("DATA", data.toString()).replace("PACKED", packed.toString()).replace("OUT", out.toString())
                .split(" "));
        assertThat(run.code()).isEqualTo(Main.USAGE);
        assertThat(run.err()).startsWith("audiomamba: ").contains(message).doesNotContain("\tat ");
        assertThat(run.out()).isEmpty();
        assertThat(out).doesNotExist();
    }

    /** Whatever the command, and whatever it writes: a file is in the way of the folder. */
    @ParameterizedTest
    @ValueSource(strings = {"init --preset nano_s1 --labels LABELS", "export MODEL --format pth", "pack DATA",
            "import MODEL", "evaluate --model MODEL --data PACKED", "crossval --recipe esc10 --data PACKED",
            "train --recipe esc10 --data PACKED --set model.preset=nano_s1"})
    void anOutputThatCannotBeWritten(String line) {
        Path out = folder.resolve("a.wav").resolve("out");
        CommandRun run = CommandRun.of((Object[]) (line + " -o " + out).replace("MODEL", model.toString())
                .replace("DATA", data.toString()).replace("PACKED", packed.toString())
                .replace("LABELS", folder.resolve("labels.txt").toString()).split(" "));
        assertThat(run.err()).contains("audiomamba: " + out + ": cannot be written");
        assertThat(run.code()).isEqualTo(Main.ENVIRONMENT);
    }

    @ParameterizedTest
    @ValueSource(strings = {"pack DATA", "evaluate --model MODEL --data PACKED",
            "crossval --recipe esc10 --data PACKED", "train --recipe esc10 --data PACKED --set model.preset=nano_s1"})
    void aFileWhereAFolderIsToBe(String line) {
        Path out = folder.resolve("a.wav");
        CommandRun run = CommandRun.of((Object[]) (line + " -o " + out).replace("MODEL", model.toString())
                .replace("DATA", data.toString()).replace("PACKED", packed.toString()).split(" "));
        assertThat(run.err()).contains("audiomamba: " + out + ": cannot be written: it is a file, not a folder.");
        assertThat(run.code()).isEqualTo(Main.ENVIRONMENT);
    }

    @Test
    void aDatasetWhoseNameIsNoFormat() throws IOException {
        Path list = Files.writeString(folder.resolve("100%.csv"), "file,labels\na.wav,dog\ngone.wav,rain\n");
        assertThat(CommandRun.of("pack", list, "-o", folder.resolve("packed 100%")).err())
                .contains("warning: 100%.csv: 1 of 2 clips are not there, such as gone.wav",
                        "warning: 100%.csv: 1 of 2 classes have no clip, such as rain");
    }

    @Test
    void nothingThatCanBeDecoded() throws IOException {
        Path broken = Files.writeString(folder.resolve("broken.csv"), "file,labels\nd.wav,rain\n");
        CommandRun run = CommandRun.of("evaluate", "--model", model, "--data", broken);
        assertThat(run.code()).isEqualTo(Main.INPUT_FAILED);
        assertThat(run.err()).contains("audiomamba: broken.csv: none of the 1 clips can be decoded, such as ");
        assertThat(run.out()).isEmpty();
    }
}

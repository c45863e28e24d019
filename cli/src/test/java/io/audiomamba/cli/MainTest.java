package io.audiomamba.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/** Every command with good and bad arguments, in this JVM. */
class MainTest {

    @TempDir
    private static Path folder;

    private static Path labels;
    private static Path model;
    private static Path clip;

    @BeforeAll
    static void files() throws IOException {
        labels = Files.writeString(folder.resolve("labels.txt"), "dog\nrain, heavy\n\nclock\n");
        model = folder.resolve("model.safetensors");
        clip = Sounds.noise(folder.resolve("clip.wav"), 1);
        CommandRun result = CommandRun.of("init", "--preset", "nano_v0", "--labels", labels, "-o", model);
        assertThat(result.err()).isEmpty();
        assertThat(result.out()).contains("nano_v0", "3 classes");
        assertThat(result.code()).isEqualTo(Main.DONE);
    }

    @Test
    void text() {
        CommandRun result = CommandRun.of("tag", "--model", model, "--top-k", 2, clip);
        assertThat(result.err()).isEmpty();
        assertThat(result.code()).isEqualTo(Main.DONE);
        assertThat(result.out().lines()).hasSize(3);
        assertThat(result.out()).startsWith(clip + "  (1.0 s)").contains(" %  ");
    }

    @Test
    void withoutAModelTheBundledOneTags() {
        CommandRun result = CommandRun.of("tag", "--format", "json", "--top-k", 10, clip);
        assertThat(result.err()).isEmpty();
        assertThat(result.code()).isEqualTo(Main.DONE);
        JsonNode tagged = new ObjectMapper().readTree(result.out());
        assertThat(tagged.get("model").asString()).isEqualTo("esc10");
        double sum = 0;
        for (JsonNode tag : tagged.get("tags")) {
            sum += tag.get("score").asDouble();
        }
        assertThat(sum).as("ten classes that share the probability").isCloseTo(1, within(1e-3));
        assertThat(tagged.get("tags")).hasSize(10)
                .anyMatch(tag -> tag.get("label").asString().equals("crackling fire"));
    }

    /** It was trained on them: what could fail is the way from its training to here. {@code -Desc10.dir} names another place. */
    @Test
    void theBundledModelKnowsItsTenSounds() {
        Path esc10 = Path.of(System.getProperty("esc10.dir", "../../shared/data/esc10"));
        assumeTrue(Files.isDirectory(esc10), esc10 + " is not there");
        CommandRun result = CommandRun.of("evaluate", "--model", "esc10", "--data", esc10, "--fold", 1, "--format",
                "json");
        assertThat(result.code()).isEqualTo(Main.DONE);
        JsonNode accuracy = new ObjectMapper().readTree(result.out()).at("/plain/accuracy/value");
        assertThat(accuracy.asDouble()).isGreaterThanOrEqualTo(0.95);
    }

    @Test
    void jsonAnObjectALine() {
        Path absent = folder.resolve("absent.wav");
        CommandRun result = CommandRun.of("tag", "--model", model, "--format", "json", clip, absent, clip);
        assertThat(result.code()).isEqualTo(Main.INPUT_FAILED);
        List<JsonNode> lines = result.out().lines().map(new ObjectMapper()::readTree).toList();
        assertThat(lines).hasSize(3);
        assertThat(lines.get(0).get("file").asString()).isEqualTo(clip.toString());
        assertThat(lines.get(0).get("model").asString()).isEqualTo(model.toString());
        assertThat(lines.get(0).get("seconds").asDouble()).isEqualTo(1);
        assertThat(lines.get(0).get("tags")).hasSize(3).allMatch(tag -> tag.get("score").asDouble() <= 1
                && List.of("dog", "rain, heavy", "clock").contains(tag.get("label").asString()));
        assertThat(lines.get(1).get("file").asString()).isEqualTo(absent.toString());
        assertThat(lines.get(1).get("error").asString()).contains("no such file");
        assertThat(lines.get(2)).isEqualTo(lines.get(0));
    }

    @Test
    void csvQuotesWhatNeedsIt() {
        CommandRun result = CommandRun.of("tag", "--model", model, "--format", "csv", clip);
        assertThat(result.out().lines().findFirst()).contains("file,seconds,label,score");
        assertThat(result.out()).contains(",\"rain, heavy\",0.");
    }

    @Test
    void onlyWantedClasses() {
        CommandRun allowed = CommandRun.of("tag", "--model", model, "--allow", "DOG", "--allow", "clock", "--deny",
                "clock", clip);
        assertThat(allowed.out().lines()).hasSize(2);
        assertThat(allowed.out()).contains("dog");
        CommandRun unknown = CommandRun.of("tag", "--model", model, "--deny", "lion", clip);
        assertThat(unknown.code()).isEqualTo(Main.USAGE);
        assertThat(unknown.err()).contains("no class 'lion'");
    }

    @Test
    void aThresholdThatNothingReaches() {
        CommandRun result = CommandRun.of("tag", "--model", model, "--threshold", 1, clip);
        assertThat(result.code()).isEqualTo(Main.DONE);
        assertThat(result.out()).contains("nothing above the threshold");
    }

    @Test
    void aFileThatFailsDoesNotStopTheOthers() throws IOException {
        Path empty = Files.createFile(folder.resolve("empty.wav"));
        CommandRun result = CommandRun.of("tag", "--model", model, folder, empty, clip);
        assertThat(result.code()).isEqualTo(Main.INPUT_FAILED);
        assertThat(result.err().lines()).hasSize(2);
        assertThat(result.err()).contains("is a directory", "is empty");
        assertThat(result.out()).startsWith(clip.toString());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {"tag | Missing required parameter: 'FILE'",
            "tag --top-k 0 x.wav | must be 1",
            "tag --top-k many x.wav | Invalid value for option '--top-k'", "tag --threshold 2 x.wav | in [0, 1]",
            "tag --threshold NaN x.wav | in [0, 1]", "tag --format xml x.wav | '--format'",
            "tag --threads 0 x.wav | must be 1 to", "tag --threads 100000 x.wav | must be 1 to",
            "tag --model MODEL --device tpu x.wav | no device 'tpu'", "x.wav | the commands are tag, init",
            "tag --nonsense x.wav | Unknown option: '--nonsense'",
            "tga x.wav | Unmatched argument", "init --preset huge --labels LABELS -o OUT | no model variant 'huge'",
            "init --preset nano --labels nowhere.txt -o OUT | nowhere.txt: cannot be read",
            "init --preset nano --labels LABELS -o LABELS | --output and --labels are the same file",
            "init --preset nano --labels LABELS | Missing required option: '--output",
            "init --preset nano --labels LABELS --head big -o OUT | not 'big'",
            "init --preset dass_small --labels LABELS --head token-semantic -o OUT | use linear",
            "doctor --golden nowhere | no index.json", "doctor --scan magic | 'magic' does not run here",
            "doctor --device tpu | no device 'tpu'", "doctor --precision bf16 | goes with --golden",
            "doctor --golden x --precision int8 | '--precision': expected one of",
            "info --seconds 0 MODEL | in (0, 86400]"})
    void wrongUsage(String line, String message) {
        Path out = folder.resolve("never.safetensors");
        CommandRun result = CommandRun
                .of((Object[]) line.replace("LABELS", labels.toString()).replace("OUT", out.toString())
                        .replace("MODEL", model.toString()).split(" "));
        assertThat(result.code()).isEqualTo(Main.USAGE);
        assertThat(result.err()).startsWith("audiomamba: ").contains(message).doesNotContain("\tat ");
        assertThat(result.out()).isEmpty();
        assertThat(out).doesNotExist();
    }

    static List<byte[]> brokenModels() throws IOException {
        byte[] good = Files.readAllBytes(model);
        byte[] longHeader = good.clone();
        longHeader[5] = 1;
        return List.of(new byte[0], "not a model".getBytes(), Arrays.copyOf(good, good.length - 100),
                Arrays.copyOf(good, 100), longHeader);
    }

    @ParameterizedTest
    @MethodSource("brokenModels")
    void aBrokenModelIsOneSentence(byte[] content) throws IOException {
        Path broken = Files.write(folder.resolve("broken.safetensors"), content);
        for (CommandRun result : List.of(CommandRun.of("tag", "--model", broken, clip),
                CommandRun.of("info", broken))) {
            assertThat(result.code()).isEqualTo(Main.INPUT_FAILED);
            assertThat(result.err()).startsWith("audiomamba: " + broken).hasLineCount(1);
            assertThat(result.out()).isEmpty();
        }
    }

    @Test
    void info() {
        CommandRun result = CommandRun.of("info", model);
        assertThat(result.code()).isEqualTo(Main.DONE);
        assertThat(result.out()).contains("GMAC for 10.0 s", "htsat-logmel, 32000 Hz", "labels (3)", "rain, heavy",
                "layers.3", "random, seed");
    }

    @Test
    void infoOfATrainedModel() {
        CommandRun result = CommandRun.of("info", "esc10");
        assertThat(result.out()).contains(
                "%n  recipe               model:%n                         preset: ".formatted(),
                "  cross-validation     94.08 % ± 0.63 accuracy in 15 runs");
    }

    /** Scripts read what is printed. */
    @Test
    void numbersAreWrittenAlikeEverywhere() throws IOException {
        byte[] flac = Files.readAllBytes(Path.of("..", "core", "src", "test", "resources", "audio", "tone.flac"));
        Path cut = Files.write(folder.resolve("cut.flac"), Arrays.copyOf(flac, flac.length / 2));
        Path output = folder.resolve("again.safetensors");
        Supplier<List<CommandRun>> runs = () -> List.of(CommandRun.of("info", model),
                CommandRun.of("init", "--preset", "nano_v0", "--labels", labels, "-o", output),
                CommandRun.of("tag", "--model", model, cut));
        Locale usual = Locale.getDefault();
        try {
            Locale.setDefault(Locale.ROOT);
            List<CommandRun> expected = runs.get();
            Locale.setDefault(Locale.GERMANY);
            assertThat(runs.get()).isEqualTo(expected);
        } finally {
            Locale.setDefault(usual);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"info IMPOSSIBLE", "tag --model IMPOSSIBLE x.wav",
            "init --preset nano --labels IMPOSSIBLE -o OUT", "train --recipe IMPOSSIBLE --data synthetic -o OUT",
            "train --recipe esc10 --data synthetic -o OUT --init IMPOSSIBLE"})
    void whatNoFileCanBeCalled(String line) {
        CommandRun result = CommandRun.of((Object[]) line.replace("OUT", folder.resolve("never").toString())
                .replace("IMPOSSIBLE", "a\0b").split(" "));
        assertThat(result.err()).startsWith("audiomamba: 'a\0b' cannot be the name of a file here").hasLineCount(1);
        assertThat(result.code()).isEqualTo(Main.USAGE);
    }

    /** Classes that need LibTorch load it when they are initialised, and what they throw then is an Error. */
    @Test
    void errorsOfTheMachineAreOneSentence() {
        EnvironmentException reason = new EnvironmentException("No room.");
        assertThat(failing(new ExceptionInInitializerError(reason))).isEqualTo("audiomamba: No room.");
        assertThat(failing(new NoClassDefFoundError("X") {
            private static final long serialVersionUID = 1;

            @Override
            public Throwable getCause() {
                return new ExceptionInInitializerError(reason);
            }
        })).isEqualTo("audiomamba: No room.");
        assertThat(failing(new OutOfMemoryError("Java heap space")))
                .contains("memory does not suffice (Java heap space)", "-Xmx");
        assertThat(failing(new OutOfMemoryError())).contains("memory does not suffice;");
    }

    @ParameterizedTest
    @ValueSource(strings = {"tag", "train", "evaluate", "crossval"})
    void aGpuWithoutMemoryIsOneSentence(String command) throws Exception {
        CommandLine line = Main.commandLine().getSubcommands().get(command);
        StringWriter err = new StringWriter();
        line.setErr(new PrintWriter(err, true));
        int code = line.getExecutionExceptionHandler().handleExecutionException(new RuntimeException(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which"
                        + " 1.50 GiB is free.\nException raised from malloc"),
                line, null);
        assertThat(err.toString().lines()).singleElement().asString()
                .startsWith("audiomamba: The memory of the device cuda:0 does not suffice (2.00 GiB more were needed)");
        assertThat(code).isEqualTo(Main.ENVIRONMENT);
    }

    @Test
    void anOutputThatBreaks() {
        for (List<String> command : List.of(List.of("models"), List.of("tag", "--format", "csv", clip.toString()))) {
            assertThat(printing(command, false)).isEqualTo(Main.ENVIRONMENT);
            assertThat(printing(command, true)).as("nobody reads on").isEqualTo(Main.DONE);
        }
    }

    private static int printing(List<String> command, boolean piped) {
        String failure = "No space left on device";
        CommandLine line = Main.commandLine();
        StringWriter err = new StringWriter();
        line.setErr(new PrintWriter(err, true));
        int code = Main.run(line, new Output(new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException(failure);
            }
        }, piped), command.toArray(String[]::new));
        assertThat(err.toString()).isEqualTo(code == Main.DONE
                ? ""
                : "audiomamba: the output could not be written (" + failure + ")." + System.lineSeparator());
        return code;
    }

    private static String failing(Error error) {
        CommandLine line = Main.commandLine();
        StringWriter err = new StringWriter();
        line.setExecutionStrategy(_ -> {
            throw error;
        });
        line.setErr(new PrintWriter(err, true));
        assertThat(Main.run(line, "doctor")).isEqualTo(Main.ENVIRONMENT);
        return err.toString().strip();
    }

    /** What never has 16 bits is checked all the same, and says so. */
    @Test
    void goldenCasesInMixedPrecision() throws IOException {
        Path golden = Path.of("..", "core", "src", "test", "resources", "golden");
        List<String> cases = List.of("scan_n1_l63.safetensors", "dass_mel_banks.safetensors");
        ObjectMapper json = new ObjectMapper();
        for (String file : cases) {
            Files.copy(golden.resolve(file), folder.resolve(file));
        }
        Files.writeString(folder.resolve("index.json"), json.readTree(golden.resolve("index.json").toFile())
                .valueStream().filter(entry -> cases.contains(entry.get("file").asString())).toList().toString());
        CommandRun result = CommandRun.of("doctor", "--golden", folder, "--device", "cpu", "--precision", "bf16");
        assertThat(result.out().lines().filter(line -> line.contains(" bf16 "))).singleElement().asString()
                .startsWith("scan_n1_l63.safetensors").contains("ok (8 compared");
        assertThat(result.out()).contains(" fp32 ", "1 of the cases", "2 cases, 0 failed");
        assertThat(result.code()).isEqualTo(Main.DONE);
    }

    @Test
    void goldenVectorsThatAreNone() throws IOException {
        Path index = Files.createDirectories(folder.resolve("vectors")).resolve("index.json");
        for (String[] content : new String[][] {{"[]", "lists no case."}, {"[{\"a\":\n 1",
                "is not JSON: Unexpected end-of-input: expected close marker for Object (line 2, column 3)."}}) {
            Files.writeString(index, content[0]);
            CommandRun result = CommandRun.of("doctor", "--golden", index.getParent(), "--device", "cpu");
            assertThat(result.err()).isEqualTo("audiomamba: " + index + ": " + content[1] + System.lineSeparator());
            assertThat(result.code()).isEqualTo(Main.USAGE);
        }
    }

    @Test
    void nothingIsWrittenOverWhatItIsMadeOf() throws IOException {
        byte[] before = Files.readAllBytes(model);
        for (CommandRun run : List.of(CommandRun.of("import", model, "-o", model),
                CommandRun.of("export", model, "--format", "pth", "-o",
                        folder.resolve(".").resolve("model.safetensors")),
                CommandRun.of("import", clip, "--labels", labels, "-o", labels),
                CommandRun.of("init", "--preset", "nano_v0", "--labels", labels, "-o", labels))) {
            assertThat(run.code()).isEqualTo(Main.USAGE);
            assertThat(run.err()).contains("are the same file");
        }
        assertThat(model).hasBinaryContent(before);
    }

    @Test
    void anEmptyPathNamesNoFile() {
        CommandRun run = CommandRun.of("export", model, "--format", "pth", "-o", "");
        assertThat(run.code()).isEqualTo(Main.USAGE);
        assertThat(run.err()).contains("an empty path names no file");
    }

    @Test
    void aSoundMayBeCalledAsAFileOfArgumentsIs() throws IOException {
        Path sound = Files.copy(clip, folder.resolve("@take.wav"));
        Files.writeString(folder.resolve("take.wav"), "--help");
        CommandRun run = CommandRun.of("tag", "--model", model, sound);
        assertThat(run.out()).startsWith(sound + "  (1.0 s)");
        assertThat(CommandRun.of("tag", "--model", model, "@" + folder.resolve("take.wav")).code())
                .isEqualTo(Main.INPUT_FAILED);
    }

    @Test
    void importAndExport() {
        Path pth = Path.of("..", "core", "src", "test", "resources", "golden", "dass_nano_check.pth");
        Path imported = folder.resolve("dass.safetensors");
        CommandRun result = CommandRun.of("import", pth, "-o", imported, "--labels", "audioset");
        assertThat(result.err()).isEmpty();
        assertThat(result.out()).contains("nano_s1", "450,623 parameters", "kaldi-fbank", "527 classes");
        assertThat(CommandRun.of("tag", "--model", imported, "--allow", "/m/0bt9lr", clip).out()).contains("Dog");
        assertThat(CommandRun.of("info", imported).out()).contains("source SHA-256", "imported by");
        Path exported = folder.resolve("dass.pth");
        assertThat(CommandRun.of("export", imported, "--format", "pth", "--names", "hf", "--dtype", "f16", "-o",
                exported).out())
                .contains("114 tensors");
        assertThat(CommandRun.of("tag", "--model", exported, clip).code()).isEqualTo(Main.DONE);
        assertThat(CommandRun.of("import", pth, "-o", imported, "--labels", labels).err())
                .contains("names 3 classes, but the model has 527");
        assertThat(CommandRun.of("import", clip, "-o", folder.resolve("never")).code()).isEqualTo(Main.INPUT_FAILED);
        assertThat(CommandRun.of("export", imported, "--format", "onnx", "-o", exported).code()).isEqualTo(Main.USAGE);
    }

    @Test
    void publicModels() {
        CommandRun list = CommandRun.of("models");
        assertThat(list.code()).isEqualTo(Main.DONE);
        assertThat(list.out()).contains("dass_small_50.1", "mAP 50.2 on AudioSet", "vmamba_tiny_s1l8", "MIT",
                "BSD-3-Clause");
        assertThat(list.out()).startsWith("Bundled").contains("esc10 ", "dog, rooster");
        assertThat(CommandRun.of("pull", "esc10").out()).startsWith("esc10: is bundled");
        CommandRun unknown = CommandRun.of("pull", "dass_large");
        assertThat(unknown.code()).isEqualTo(Main.USAGE);
        assertThat(unknown.err()).contains("no public model 'dass_large'", "dass_medium_50.2");
        CommandRun absent = CommandRun.of("tag", "--model", "vmamba_base_s1l20", clip);
        assertThat(absent.code()).isEqualTo(Main.INPUT_FAILED);
        assertThat(absent.err()).contains("'audiomamba pull vmamba_base_s1l20' fetches it");
    }

    /** Where a description is no format, picocli prints a warning to the error stream, and the description as it is. */
    @Test
    void descriptionsAreFormats() {
        for (CommandLine command : Main.commandLine().getSubcommands().values()) {
            CommandSpec spec = command.getCommandSpec();
            Stream.concat(Arrays.stream(spec.usageMessage().description()),
                    spec.args().stream().flatMap(arg -> Arrays.stream(arg.description())))
                    .forEach(text -> assertThatCode(() -> String.format(text)).as(spec.name() + ": " + text)
                            .doesNotThrowAnyException());
        }
        assertThat(CommandRun.of("evaluate", "--help").out()).contains("95 % intervals");
    }

    /** No option is left out, and none is named that is not there. */
    @Test
    void synopsesNameTheOptions() throws IOException {
        Map<String, CommandLine> commands = Main.commandLine().getSubcommands();
        Set<String> described = new HashSet<>();
        for (String page : List.of("README.md", "docs/evaluation.md", "docs/training.md")) {
            Matcher synopses = Pattern.compile("(?m)^audiomamba (\\w+)(.*(?:\\R +.*)*)")
                    .matcher(Files.readString(Path.of("..").resolve(page)));
            while (synopses.find()) {
                String command = synopses.group(1);
                List<String> named = Pattern.compile("(?<![\\w-])--?[a-z][a-z-]*").matcher(synopses.group(2)).results()
                        .map(MatchResult::group).toList();
                CommandSpec spec = commands.get(command).getCommandSpec();
                assertThat(named).as(page + ": " + command).isSubsetOf(spec.optionsMap().keySet());
                assertThat(spec.options()).as(page + ": " + command)
                        .filteredOn(option -> !option.usageHelp() && !option.versionHelp())
                        .allSatisfy(option -> assertThat(named).containsAnyOf(option.names()));
                described.add(command);
            }
        }
        assertThat(described).isEqualTo(commands.keySet());
    }

    @Test
    void helpAndVersion() {
        assertThat(CommandRun.of("--help").out()).contains("tag", "init", "info", "doctor", "Exit codes");
        assertThat(CommandRun.of("tag", "--help").out()).contains("--top-k", "--threshold", "--format");
        assertThat(CommandRun.of("--version").out()).startsWith("audiomamba ");
        assertThat(CommandRun.of().code()).isEqualTo(Main.USAGE);
    }
}

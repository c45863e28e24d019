package io.audiomamba.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarOutputStream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The launcher as a user runs it: a process of its own. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "the launcher is a bash script")
class LauncherIT {

    private static final Path LAUNCHER = Path.of("..", "audiomamba").toAbsolutePath().normalize();

    @TempDir
    private Path folder;

    private record Result(int code, String out, String err) {}

    private Result run(Map<String, String> environment, Object... arguments) throws IOException, InterruptedException {
        return run(LAUNCHER, environment, arguments);
    }

    private Result run(Path launcher, Map<String, String> environment, Object... arguments)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("bash", launcher.toString()));
        List.of(arguments).forEach(argument -> command.add(argument.toString()));
        Path out = folder.resolve("stdout");
        Path err = folder.resolve("stderr");
        ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile())
                .redirectOutput(out.toFile()).redirectError(err.toFile());
        builder.environment().putAll(environment);
        Process process = builder.start();
        assertThat(process.waitFor(5, TimeUnit.MINUTES)).isTrue();
        String printed = Files.isRegularFile(out) ? Files.readString(out) : "";
        return new Result(process.exitValue(), printed, Files.readString(err));
    }

    @Test
    void fromLabelsToTags() throws Exception {
        Path labels = Files.writeString(folder.resolve("labels.txt"), "dog\nrain\n");
        Path clip = Sounds.noise(folder.resolve("a clip's name.wav"), 2);
        Result init = run(Map.of(), "init", "--preset", "nano_s1", "--labels", labels, "-o", "my model.safetensors");
        assertThat(init.code).as(init.err).isEqualTo(Main.DONE);
        Result tag = run(Map.of(), "tag", "--model", "my model.safetensors", clip, "absent.wav");
        assertThat(tag.out).contains("dog", "rain");
        assertThat(tag.err).contains("absent.wav: there is no such file.");
        assertThat(tag.code).isEqualTo(Main.INPUT_FAILED);
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void outputThatCannotBeWrittenIsNotLostSilently() throws Exception {
        Path full = Files.createSymbolicLink(folder.resolve("stdout"), Path.of("/dev/full"));
        for (String command : List.of("models", "--help")) {
            Result result = run(Map.of(), command);
            assertThat(result.err).contains("audiomamba: the output could not be written");
            assertThat(result.code).isEqualTo(Main.ENVIRONMENT);
        }
        Files.delete(full);
    }

    @Test
    void aRegisteredModelOfWhichLittleIsStated() throws Exception {
        Path registry = Files.writeString(folder.resolve("registry.json"), """
                {"models": [{"name": "ours", "variant": "nano", "url": "https://x.example/a", "file": "a.pth"}]}
                """);
        Result models = run(Map.of("AUDIOMAMBA_REGISTRY", registry.toString()), "models");
        assertThat(models.out).containsPattern("ours +ours +not stated +not stated").doesNotContain("null");
    }

    /** As in containers and under cron. The name is written as bash's escapes, whatever the locale of this test. */
    @Test
    void namesThatAreNotAsciiWithoutALocale() throws Exception {
        Sounds.noise(folder.resolve("clip.wav"), 1);
        Files.createDirectory(folder.resolve("names"));
        ProcessBuilder builder = new ProcessBuilder("bash", "-c",
                "cp clip.wav $'names/\\xc3\\x84.wav' && \"$0\" tag $'names/\\xc3\\x84.wav'", LAUNCHER.toString())
                .directory(folder.toFile()).redirectErrorStream(true);
        builder.environment().put("LC_ALL", "C");
        Process process = builder.start();
        assertThat(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
                .contains("names/\u00c4.wav  (1.0 s)");
        assertThat(process.waitFor()).isEqualTo(Main.DONE);
    }

    @Test
    void aForcedKernel() throws Exception {
        Result doctor = run(Map.of("AUDIOMAMBA_JAVA_OPTIONS", "-Daudiomamba.scan=torch"), "doctor", "--golden",
                Path.of("..", "core", "src", "test", "resources", "golden").toAbsolutePath());
        assertThat(doctor.out).contains("scan_n1_l63.safetensors", " 0 failed").contains("torch");
        assertThat(doctor.code).isEqualTo(Main.DONE);
    }

    /** A folder that cannot be made is passed over for the next one. */
    @Test
    void aCacheFolderThatCannotBeWritten() throws Exception {
        Path blocked = Files.createFile(folder.resolve("blocked"));
        Result doctor = run(
                Map.of("AUDIOMAMBA_JAVA_OPTIONS", "-Dorg.bytedeco.javacpp.cachedir=" + blocked.resolve("cache")),
                "doctor");
        assertThat(doctor.out).contains("natives").contains("cache").doesNotContain("blocked");
        assertThat(doctor.code).isEqualTo(Main.DONE);
    }

    @Test
    void withoutAnyCacheFolder() throws Exception {
        Path blocked = Files.createFile(folder.resolve("file"));
        Result doctor = run(Map.of("AUDIOMAMBA_JAVA_OPTIONS",
                "-Dorg.bytedeco.javacpp.cachedir=" + blocked.resolve("a") + " -Duser.home=" + blocked.resolve("b")
                        + " -Djava.io.tmpdir=" + blocked.resolve("c")),
                "doctor");
        assertThat(doctor.err).contains("audiomamba: LibTorch cannot be loaded", "names another.")
                .doesNotContain("\tat ");
        assertThat(doctor.code).isEqualTo(Main.ENVIRONMENT);
    }

    @Test
    void aFileThatIsCalledAsTheBundledModelDoesNotHideIt() throws Exception {
        Files.writeString(folder.resolve("esc10"), "no model");
        Sounds.noise(folder.resolve("clip.wav"), 1);
        assertThat(run(Map.of(), "tag", "clip.wav").code).isEqualTo(Main.DONE);
        assertThat(run(Map.of(), "tag", "--model", "./esc10", "clip.wav").code).isEqualTo(Main.INPUT_FAILED);
    }

    /** Maven does not find out which libraries it needs there. */
    @Test
    void aPlatformThatLibTorchIsNotMadeFor() throws Exception {
        Path project = LAUNCHER.getParent();
        Path copy = Files.createDirectories(folder.resolve("unbuilt").resolve(".mvn")).getParent();
        Files.copy(LAUNCHER, copy.resolve("audiomamba"));
        Files.copy(project.resolve(".mvn").resolve("find-jdk.sh"), copy.resolve(".mvn").resolve("find-jdk.sh"));
        Path maven = Files.writeString(copy.resolve("mvnw"), """
                #!/usr/bin/env bash
                echo '[ERROR] Could not resolve org.bytedeco:javacpp:jar:${natives.platform}:1.5.13'
                exit 1
                """);
        assertThat(maven.toFile().setExecutable(true)).isTrue();
        Result tag = run(copy.resolve("audiomamba"), Map.of(), "tag", "x");
        assertThat(tag.err.lines()).last().asString().startsWith("audiomamba: LibTorch for Java is there for Linux");
        assertThat(tag.code).isEqualTo(Main.ENVIRONMENT);
    }

    /** Whose jars stay where they are unless the project is cleaned. */
    @Test
    void afterABuildOfAnotherVersion() throws Exception {
        Path project = LAUNCHER.getParent();
        Path copy = Files.createDirectory(folder.resolve("project"));
        Path target = Files.createDirectories(copy.resolve("cli").resolve("target"));
        Path libraries = Files.createDirectory(target.resolve("lib"));
        Path other = libraries.resolve("audiomamba-core-0.0.1.jar");
        try (JarOutputStream jar = new JarOutputStream(Files.newOutputStream(other))) {
            jar.putNextEntry(new ZipEntry("io/audiomamba/registry/Registry.class")); // an empty file is no class
        }
        Files.copy(other, target.resolve("audiomamba-cli-0.0.1.jar"));
        Files.copy(project.resolve(".mvn").resolve("find-jdk.sh"),
                Files.createDirectory(copy.resolve(".mvn")).resolve("find-jdk.sh"));
        Path launcher = Files.copy(LAUNCHER, copy.resolve("audiomamba"));
        Path built = project.resolve("cli").resolve("target");
        Files.copy(built.resolve("audiomamba-cli.jar"), target.resolve("audiomamba-cli.jar"));
        List<Path> links = new ArrayList<>();
        try (var files = Files.newDirectoryStream(built.resolve("lib"))) {
            for (Path file : files) {
                links.add(Files.createSymbolicLink(libraries.resolve(file.getFileName()), file));
            }
        }
        Result models = run(launcher, Map.of(), "models");
        assertThat(models.err).doesNotContain("building", "internal error");
        assertThat(models.out).contains("dass_small");
        assertThat(models.code).isEqualTo(Main.DONE);
        for (Path link : links) {
            Files.delete(link);
        }
    }

    @Test
    void withoutAJdk() throws Exception {
        Path home = Files.createDirectory(folder.resolve("home"));
        Path java = Files.createDirectories(folder.resolve("jdk").resolve("bin")).resolve("java");
        Files.createFile(java).toFile().setExecutable(true);
        Files.writeString(folder.resolve("jdk").resolve("release"), "JAVA_VERSION=\"17.0.1\"\n");
        Result result = run(Map.of("JAVA_HOME", folder.resolve("jdk").toString(), "HOME", home.toString(), "PATH",
                java.getParent() + ":/usr/bin:/bin", "AUDIOMAMBA_JDKS", home.toString()), "--version");
        assertThat(result.err).contains("no JDK 25 was found").contains("adoptium.net");
        assertThat(result.code).isEqualTo(Main.ENVIRONMENT);
    }
}

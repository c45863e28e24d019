package io.audiomamba.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.file.Sha256;
import io.audiomamba.labels.Labels;
import io.audiomamba.model.ModelConfig;
import io.audiomamba.model.Variants;
import java.io.IOException;
import java.net.URI;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class InstallerTest {

    private static final Path CHECKPOINT = Path.of("src", "test", "resources", "golden", "dass_nano_check.pth");
    private static final String SHA256 = Sha256.of(CHECKPOINT);

    @TempDir
    private Path home;

    private static PublicModel model(URI url, String sha256) {
        return new PublicModel("nano", List.of(), "A tiny DASS", PublicModel.Task.TAGGING, "nano_s1", 450_623,
                "mAP 0", "CC0", url, url, "nano.pth", "audioset", sha256);
    }

    private Installer installer() {
        return new Installer(home,
                new Downloader(new EnvironmentProxies(Map.of()), Duration.ofSeconds(20), Duration.ZERO));
    }

    private static FileServer server(byte[] content, FileServer.Answer... script) throws IOException {
        return new FileServer(content, script);
    }

    @Test
    void fetchedCheckedAndImported() throws IOException {
        try (FileServer server = server(Files.readAllBytes(CHECKPOINT))) {
            PublicModel model = model(server.url(), SHA256);
            Path file = installer().install(model, (_, _) -> {});
            assertThat(file).isEqualTo(home.resolve("models").resolve("nano.safetensors"));
            try (Checkpoint checkpoint = Checkpoint.open(file)) {
                assertThat(checkpoint.description().labels()).hasSize(527);
                assertThat(checkpoint.description().provenance()).containsEntry("licence", "CC0")
                        .containsEntry("source SHA-256", SHA256)
                        .containsEntry("fetched from", server.url().toString());
            }
            assertThat(home.resolve("downloads")).isEmptyDirectory();
            assertThat(home.resolve("sha256.txt")).hasContent(SHA256 + "  nano.pth");
        }
    }

    @Test
    void aWrongHash() throws IOException {
        try (FileServer server = server(Files.readAllBytes(CHECKPOINT))) {
            PublicModel model = model(server.url(), "0".repeat(64));
            assertThatThrownBy(() -> installer().install(model, (_, _) -> {})).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("not what its authors published").hasMessageContaining(SHA256)
                    .hasMessageContaining("It was deleted.");
        }
        assertThat(home.resolve("downloads")).isEmptyDirectory();
        assertThat(home.resolve("models")).isEmptyDirectory();
    }

    /** Where nothing is published, the first download counts. */
    @Test
    void anotherFileThanTheFirstTime() throws IOException {
        byte[] first = Files.readAllBytes(CHECKPOINT);
        byte[] second = Arrays.copyOf(first, first.length);
        second[second.length - 1] ^= 1;
        try (FileServer server = server(first, request -> {
            request.sendResponseHeaders(200, first.length);
            request.getResponseBody().write(first);
        }, request -> {
            request.sendResponseHeaders(200, second.length);
            request.getResponseBody().write(second);
        })) {
            PublicModel model = model(server.url(), null);
            Path file = installer().install(model, (_, _) -> {});
            String installed = Sha256.of(file);
            assertThatThrownBy(() -> installer().install(model, (_, _) -> {})).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("fetched the first time").hasMessageContaining("sha256.txt");
            assertThat(Sha256.of(file)).isEqualTo(installed);
            installer().install(model, (_, _) -> {});
        }
    }

    @Test
    void aServerThatAnnouncesTooLittle() throws IOException {
        byte[] content = Files.readAllBytes(CHECKPOINT);
        try (FileServer server = server(content, request -> {
            request.sendResponseHeaders(200, content.length / 2);
            request.getResponseBody().write(content, 0, content.length / 2);
        })) {
            assertThatThrownBy(() -> installer().install(model(server.url(), null), (_, _) -> {}))
                    .isInstanceOf(CheckpointException.class).hasMessageContaining("truncated");
        }
        assertThat(home.resolve("sha256.txt")).doesNotExist();
    }

    @Test
    void aPageInsteadOfAFile() throws IOException {
        try (FileServer server = server("<html>Please log in</html>".getBytes())) {
            assertThatThrownBy(() -> installer().install(model(server.url(), null), (_, _) -> {}))
                    .isInstanceOf(CheckpointException.class).hasMessageContaining("It was deleted.");
        }
        assertThat(home.resolve("models")).isEmptyDirectory();
    }

    @Test
    void withoutANetworkTheFileCanBeBroughtByHand() throws IOException {
        URI nobody;
        try (FileServer server = server(new byte[0])) {
            nobody = server.url();
        }
        PublicModel model = model(nobody, SHA256);
        Path byHand = home.resolve("downloads").resolve("nano.pth");
        assertThatThrownBy(() -> installer().install(model, (_, _) -> {})).isInstanceOf(EnvironmentException.class)
                .hasMessageContainingAll(nobody.toString(), "put the file here as " + byHand,
                        "'audiomamba pull nano' again");
        Files.copy(CHECKPOINT, byHand);
        try (Checkpoint checkpoint = Checkpoint.open(installer().install(model, (_, _) -> {}))) {
            assertThat(checkpoint.description().provenance()).containsEntry("fetched from", "by hand");
        }
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void onAFullDiskNothingIsSaidOfTheNetwork() throws IOException {
        Path download = Files.createDirectory(home.resolve("downloads")).resolve("nano.pth");
        Path full = Files.createSymbolicLink(download.resolveSibling("nano.pth.part"), Path.of("/dev/full"));
        try (FileServer server = server(Files.readAllBytes(CHECKPOINT))) {
            assertThatThrownBy(() -> installer().install(model(server.url(), SHA256), (_, _) -> {}))
                    .isInstanceOf(EnvironmentException.class)
                    .hasMessage(download + ": cannot be written (IOException: No space left on device).");
        }
        Files.delete(full);
    }

    @Test
    void whatIsBeingFetchedAlready() throws IOException {
        try (FileServer server = server(Files.readAllBytes(CHECKPOINT))) {
            PublicModel model = model(server.url(), SHA256);
            installer().install(model, (_, _) -> assertIsBeingFetched(model));
        }
    }

    @Test
    void whatAnotherProcessIsFetching() throws Exception {
        Path part = Files.createDirectory(home.resolve("downloads")).resolve("nano.pth.part");
        Process other = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
                System.getProperty("java.class.path"), Fetches.class.getName(), part.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        try (FileServer server = server(Files.readAllBytes(CHECKPOINT)); var _ = other.getOutputStream()) {
            assertThat(other.getInputStream().read()).isEqualTo('!');
            Path version = Files.writeString(part.resolveSibling("nano.pth.part.version"), "\"1\"");
            assertIsBeingFetched(model(server.url(), SHA256));
            assertThat(version).as("what it is fetching").hasContent("\"1\"");
        }
        assertThat(other.waitFor()).isZero();
    }

    /** Locks a file, and says so, until its input ends. */
    static final class Fetches {
        public static void main(String[] files) throws IOException {
            try (FileChannel part = FileChannel.open(Path.of(files[0]), StandardOpenOption.CREATE,
                    StandardOpenOption.WRITE)) {
                part.lock();
                System.out.print('!');
                System.out.flush();
                System.in.read();
            }
        }
    }

    private void assertIsBeingFetched(PublicModel model) {
        assertThatThrownBy(() -> installer().install(model, (_, _) -> {})).isInstanceOf(EnvironmentException.class)
                .hasMessage(home.resolve("downloads").resolve("nano.pth") + ": is being fetched already; wait until it"
                        + " is there, and call 'audiomamba pull nano' again.");
    }

    @Test
    void aFolderThatCannotBeMade() throws IOException {
        Path file = Files.createFile(home.resolve("file"));
        Installer blocked = new Installer(file, new Downloader());
        assertThatThrownBy(() -> blocked.install(model(URI.create("http://127.0.0.1:1/"), null), (_, _) -> {}))
                .isInstanceOf(EnvironmentException.class).hasMessageContaining("AUDIOMAMBA_HOME");
    }

    @Test
    void theProjectsOwnListMakesSense() {
        List<PublicModel> models = Registry.known().all();
        assertThat(models).hasSizeGreaterThanOrEqualTo(15);
        assertThat(models.stream().map(PublicModel::name)).doesNotHaveDuplicates();
        assertThat(models.stream().map(PublicModel::file)).doesNotHaveDuplicates();
        assertThat(new HashSet<>(models.stream().map(PublicModel::url).toList())).hasSize(models.size());
        for (PublicModel model : models) {
            ModelConfig variant = Variants.named(model.variant());
            assertThat(Labels.read(model.labels())).hasSize(variant.classes());
            assertThat(model.url()).hasScheme("https");
            assertThat(model.url().toString()).endsWith(model.task() == PublicModel.Task.TAGGING
                    ? "/resolve/main/model.safetensors"
                    : "/" + model.file());
            assertThat(model.licence()).isNotBlank();
        }
        assertThat(Registry.known().find("dass_small")).isPresent();
    }

    /** Whatever a list leaves out that it may leave out, nothing is there to be printed as null. */
    @Test
    void aListOfWhatMustBeStated() throws IOException {
        Path file = Files.writeString(home.resolve("registry.json"), """
                {"models": [{"name": "a", "variant": "nano", "url": "https://x.example/a", "file": "a.pth"}]}
                """);
        assertThat(Registry.of(file).all()).singleElement().hasNoNullFieldsOrPropertiesExcept("sha256");
    }

    @Test
    void aListThatMakesNoSense() throws IOException {
        String good = """
                {"models": [{"name": "a", "title": "A", "variant": "nano", "url": "https://x.example/a", "file": "a.pth"}]}
                """;
        Path file = Files.writeString(home.resolve("registry.json"), good);
        assertThat(Registry.of(file).all()).hasSize(1);
        for (Map.Entry<String, String> change : Map.of("\"a.pth\"", "\"../a.pth\"", "https:", "file:", "\"A\"", "[",
                "\"title\"", "\"sha256\"", "\"models\"", "\"Models\"").entrySet()) {
            Files.writeString(file, good.replace(change.getKey(), change.getValue()));
            assertNoList(file);
        }
        for (String nothing : List.of("null", "{\"models\":[null]}")) {
            Files.writeString(file, nothing);
            assertNoList(file);
        }
    }

    private static void assertNoList(Path file) throws IOException {
        assertThatThrownBy(() -> Registry.of(file)).as(Files.readString(file))
                .isInstanceOf(ConfigurationException.class).hasMessageStartingWith(file + ": ")
                .message().doesNotContain("\n");
    }
}

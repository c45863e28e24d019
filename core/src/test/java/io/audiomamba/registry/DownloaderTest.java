package io.audiomamba.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.audiomamba.error.EnvironmentException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Servers as they are, one on this machine for each habit. */
class DownloaderTest {

    private static final byte[] CONTENT = new byte[300_000];

    static {
        new Random(3).nextBytes(CONTENT);
    }

    @TempDir
    private Path folder;

    private static Downloader downloader() {
        return new Downloader(new EnvironmentProxies(Map.of()), Duration.ofSeconds(20), Duration.ZERO);
    }

    private Path target() {
        return folder.resolve("file");
    }

    private void fetch(FileServer server) throws IOException {
        downloader().fetch(server.url(), target(), (_, _) -> {});
    }

    private void assertFetched() throws IOException {
        assertThat(Files.readAllBytes(target())).isEqualTo(CONTENT);
        assertThat(folder).isDirectoryNotContaining(file -> !file.equals(target()));
    }

    @Test
    void aGoodServer() throws IOException {
        List<Long> seen = new ArrayList<>();
        try (FileServer server = new FileServer(CONTENT)) {
            downloader().fetch(server.url(), target(), (bytes, total) -> {
                assertThat(total).isEqualTo(CONTENT.length);
                seen.add(bytes);
            });
            assertThat(server.ranges()).containsExactly("");
        }
        assertFetched();
        assertThat(seen).isSorted().endsWith((long) CONTENT.length);
    }

    @Test
    void redirects() throws IOException {
        try (FileServer server = new FileServer(CONTENT, FileServer.redirect("/elsewhere"),
                FileServer.redirect("/and/on?signature=a%2Fb"))) {
            fetch(server);
            assertThat(server.asked().getLast()).isEqualTo(URI.create("/and/on?signature=a%2Fb"));
        }
        assertFetched();
    }

    @Test
    void redirectsInACircle() throws IOException {
        FileServer.Answer[] circle = new FileServer.Answer[100];
        Arrays.fill(circle, FileServer.redirect("/file"));
        try (FileServer server = new FileServer(CONTENT, circle)) {
            assertThatThrownBy(() -> fetch(server)).isInstanceOf(EnvironmentException.class)
                    .hasMessageContaining("redirects in circles");
        }
        assertThat(target()).doesNotExist();
    }

    @Test
    void aBrokenDownloadGoesOnWhereItStopped() throws IOException {
        FileServer[] self = new FileServer[1];
        try (FileServer server = new FileServer(CONTENT, request -> self[0].cutOffAfter(100_000).to(request))) {
            self[0] = server;
            fetch(server);
            assertThat(server.ranges()).containsExactly("", "bytes=100000-");
        }
        assertFetched();
    }

    /** In a later call, as after a crash. */
    @Test
    void anInterruptedDownloadGoesOnLater() throws IOException {
        Files.write(folder.resolve("file.part"), Arrays.copyOf(CONTENT, 123_456));
        Files.writeString(folder.resolve("file.part.version"), "\"1\"");
        try (FileServer server = new FileServer(CONTENT)) {
            fetch(server);
            assertThat(server.ranges()).containsExactly("bytes=123456-");
        }
        assertFetched();
    }

    /** As a crash may leave it. */
    @ParameterizedTest
    @ValueSource(strings = {"", "\"1\"\n", "\u00ff"})
    void aVersionThatIsDamagedBeginsAnew(String version) throws IOException {
        Files.write(folder.resolve("file.part"), Arrays.copyOf(CONTENT, 123_456));
        Files.writeString(folder.resolve("file.part.version"), version, StandardCharsets.ISO_8859_1);
        try (FileServer server = new FileServer(CONTENT)) {
            fetch(server);
            assertThat(server.ranges()).containsExactly("");
        }
        assertFetched();
    }

    @Test
    void anotherVersionBeginsAnew() throws IOException {
        Files.write(folder.resolve("file.part"), new byte[123_456]);
        Files.writeString(folder.resolve("file.part.version"), "\"1\"");
        try (FileServer server = new FileServer(CONTENT)) {
            server.setVersion("\"2\"");
            fetch(server);
        }
        assertFetched();
    }

    /** Without a name for the version, two of them could be mixed. */
    @Test
    void aServerWithoutVersionsBeginsAnew() throws IOException {
        FileServer[] self = new FileServer[1];
        try (FileServer server = new FileServer(CONTENT, request -> self[0].cutOffAfter(100_000).to(request))) {
            self[0] = server;
            server.setVersion("W/\"weak\"");
            fetch(server);
            assertThat(server.ranges()).containsExactly("", "");
        }
        assertFetched();
    }

    @Test
    void aPartThatIsLongerThanTheFile() throws IOException {
        Files.write(folder.resolve("file.part"), new byte[400_000]);
        Files.writeString(folder.resolve("file.part.version"), "\"1\"");
        try (FileServer server = new FileServer(CONTENT, FileServer.status(416))) {
            fetch(server);
        }
        assertFetched();
    }

    @Test
    void aServerThatSendsAnotherPartThanAskedFor() throws IOException {
        Files.write(folder.resolve("file.part"), Arrays.copyOf(CONTENT, 1000));
        Files.writeString(folder.resolve("file.part.version"), "\"1\"");
        try (FileServer server = new FileServer(CONTENT, request -> {
            request.getResponseHeaders().set("Content-Range", "bytes 5-9/300000");
            request.sendResponseHeaders(206, 5);
            request.getResponseBody().write(new byte[5]);
        })) {
            fetch(server);
        }
        assertFetched();
    }

    @Test
    void aServerThatSendsLessThanAskedFor() throws IOException {
        try (FileServer server = new FileServer(CONTENT, part(0, 100), part(100, 200))) {
            fetch(server);
            assertThat(server.ranges()).containsExactly("", "bytes=100-", "bytes=200-");
        }
        assertFetched();
    }

    private static FileServer.Answer part(int from, int to) {
        return request -> {
            request.getResponseHeaders().set("ETag", "\"1\"");
            request.getResponseHeaders().set("Content-Range",
                    "bytes %d-%d/%d".formatted(from, to - 1, CONTENT.length));
            request.sendResponseHeaders(206, to - from);
            request.getResponseBody().write(CONTENT, from, to - from);
        };
    }

    /** It hangs up when all has arrived: Java's client forgets what nobody has read by then. */
    @Test
    void aServerThatPromisesMoreThanItSends() throws IOException {
        Semaphore arrived = new Semaphore(0);
        FileServer.Answer liar = request -> {
            request.sendResponseHeaders(200, CONTENT.length + 10L);
            request.getResponseBody().write(CONTENT);
            request.getResponseBody().flush();
            arrived.acquireUninterruptibly();
        };
        FileServer.Answer[] always = new FileServer.Answer[50];
        Arrays.fill(always, liar);
        try (FileServer server = new FileServer(CONTENT, always)) {
            assertThatThrownBy(() -> downloader().fetch(server.url(), target(),
                    (bytes, _) -> arrived.release(bytes == CONTENT.length ? 1 : 0)))
                    .isInstanceOf(EnvironmentException.class).hasMessageContaining("after 300000 bytes")
                    .cause().hasCauseInstanceOf(IOException.class);
        }
        assertThat(target()).doesNotExist();
    }

    @Test
    void aServerThatFallsSilent() throws IOException {
        FileServer[] self = new FileServer[1];
        Downloader impatient = new Downloader(new EnvironmentProxies(Map.of()), Duration.ofMillis(500), Duration.ZERO);
        try (FileServer server = new FileServer(CONTENT, request -> self[0].silentAfter(100_000).to(request))) {
            self[0] = server;
            impatient.fetch(server.url(), target(), (_, _) -> {});
            assertThat(server.ranges().getLast()).isEqualTo("bytes=100000-");
        }
        assertFetched();
    }

    @Test
    void aTrickleOfUnknownLength() throws IOException {
        byte[] little = Arrays.copyOf(CONTENT, 3000);
        FileServer[] self = new FileServer[1];
        try (FileServer server = new FileServer(little, request -> self[0].trickle().to(request))) {
            self[0] = server;
            downloader().fetch(server.url(), target(), (_, total) -> assertThat(total).isEqualTo(-1));
        }
        assertThat(Files.readAllBytes(target())).isEqualTo(little);
    }

    @ParameterizedTest
    @ValueSource(ints = {500, 503, 429, 408})
    void aBusyServer(int status) throws IOException {
        try (FileServer server = new FileServer(CONTENT, FileServer.status(status), FileServer.status(status))) {
            fetch(server);
            assertThat(server.asked()).hasSize(3);
        }
        assertFetched();
    }

    @Test
    void aServerThatStaysBusy() throws IOException {
        FileServer.Answer[] busy = new FileServer.Answer[9];
        Arrays.fill(busy, FileServer.status(503));
        try (FileServer server = new FileServer(CONTENT, busy)) {
            assertThatThrownBy(() -> fetch(server)).isInstanceOf(EnvironmentException.class)
                    .hasMessageStartingWith(server.url() + ": ").hasMessageContaining("503, 5 times");
            assertThat(server.asked()).hasSize(5);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {404, 403, 410})
    void whatIsNotThere(int status) throws IOException {
        try (FileServer server = new FileServer(CONTENT, FileServer.status(status))) {
            assertThatThrownBy(() -> fetch(server)).isInstanceOf(EnvironmentException.class)
                    .hasMessageContaining("" + status);
            assertThat(server.asked()).hasSize(1);
        }
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void aFileThatFitsNowhere() throws IOException {
        try (FileServer server = new FileServer(CONTENT, request -> {
            request.sendResponseHeaders(200, Long.MAX_VALUE / 2);
            request.getResponseBody().write(CONTENT);
            request.getResponseBody().flush();
        })) {
            assertThatThrownBy(() -> fetch(server)).isInstanceOf(EnvironmentException.class)
                    .hasMessageContaining("more than the");
        }
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void aFullDiskIsNotTheNetworks() throws IOException {
        Path full = Files.createSymbolicLink(folder.resolve("file.part"), Path.of("/dev/full"));
        try (FileServer server = new FileServer(CONTENT)) {
            assertThatThrownBy(() -> fetch(server)).isExactlyInstanceOf(IOException.class)
                    .hasMessage("No space left on device");
            assertThat(server.asked()).hasSize(1);
        }
        Files.delete(full);
    }

    @Test
    void noNetwork() throws IOException {
        URI nobody;
        try (FileServer server = new FileServer(CONTENT)) {
            nobody = server.url();
        }
        assertThatThrownBy(() -> downloader().fetch(nobody, target(), (_, _) -> {}))
                .isInstanceOf(EnvironmentException.class).hasMessageContaining("is there a network?")
                .cause().hasCauseInstanceOf(ConnectException.class);
    }

    @Test
    void aProxyOfTheEnvironment() throws IOException {
        try (FileServer proxy = new FileServer(CONTENT)) {
            Downloader through = new Downloader(
                    new EnvironmentProxies(Map.of("http_proxy", "http://127.0.0.1:" + proxy.port())),
                    Duration.ofSeconds(20), Duration.ZERO);
            through.fetch(URI.create("http://models.example/file"), target(), (_, _) -> {});
            assertThat(proxy.asked()).containsExactly(URI.create("http://models.example/file"));
        }
        assertFetched();
    }

    @ParameterizedTest
    @ValueSource(strings = {"socks5://proxy.firm:1080", "https://proxy.firm", "http://", "proxy firm", "http://p:x",
            "http://p:65536", "http://[::1:80"})
    void proxiesThatAreNotSupported(String value) {
        for (String variable : List.of("https_proxy", "ALL_PROXY")) {
            EnvironmentProxies proxies = new EnvironmentProxies(Map.of(variable, value));
            Downloader downloader = new Downloader(proxies, Duration.ofSeconds(20), Duration.ZERO);
            assertThatThrownBy(
                    () -> downloader.fetch(URI.create("https://models.example/file"), target(), (_, _) -> {}))
                    .isInstanceOf(EnvironmentException.class).hasMessageStartingWith("The variable " + variable);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"http://my_proxy:99", "my_proxy:99", "HTTP://user:word@my_proxy:99/"})
    void howAProxyIsWritten(String value) {
        assertThat(new EnvironmentProxies(Map.of("http_proxy", value)).select(URI.create("http://huggingface.co/x")))
                .containsExactly(new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved("my_proxy", 99)));
    }

    @Test
    void whichProxy() {
        EnvironmentProxies proxies = new EnvironmentProxies(Map.of("HTTPS_PROXY", "proxy.firm:3128", "all_proxy",
                "http://other:99", "NO_PROXY", "intra.firm, .local,10.0.0.1"));
        Proxy https = new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved("proxy.firm", 3128));
        Proxy all = new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved("other", 99));
        Map<String, Proxy> expected = Map.of("https://huggingface.co/x", https, "http://huggingface.co/x", all,
                "https://intra.firm/x", Proxy.NO_PROXY, "https://a.intra.firm/x", Proxy.NO_PROXY, "https://b.local/",
                Proxy.NO_PROXY, "https://10.0.0.1/", Proxy.NO_PROXY, "https://notintra.firm/", https);
        expected.forEach((url, proxy) -> assertThat(proxies.select(URI.create(url))).as(url).containsExactly(proxy));
    }
}

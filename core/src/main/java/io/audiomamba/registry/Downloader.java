package io.audiomamba.registry;

import io.audiomamba.error.EnvironmentException;
import io.audiomamba.file.WholeFile;
import java.io.IOException;
import java.io.InputStream;
import java.net.ConnectException;
import java.net.ProxySelector;
import java.net.URI;
import java.net.UnknownHostException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Fetches a file over HTTP. A download that breaks goes on where it stopped, in the same call or in a later one, unless
 * the server has another version by then. The file appears under its name only when all of it is there.
 */
public final class Downloader {

    /** Told how much has arrived. */
    @FunctionalInterface
    public interface Progress {

        /** @param total bytes of the whole file; -1 if the server does not say */
        void at(long bytes, long total);
    }

    /** The largest file that is fetched: nothing of this family comes near. */
    private static final long LIMIT = 16L << 30;
    private static final int FRUITLESS_ATTEMPTS = 5;
    private static final int CHUNK = 1 << 16;
    private static final boolean PASSES = true;
    private static final boolean LASTS = false;
    /** What may stand in a request's header. */
    private static final Pattern VERSION = Pattern.compile("\\p{Print}+");
    private static final Pattern CONTENT_RANGE = Pattern.compile("bytes (\\d{1,18})-\\d+/(\\d{1,18}|\\*)");

    private final HttpClient client;
    private final Duration patience;
    private final Duration pause;

    /** The network's or the server's. It PASSES, as broken connections and busy servers do, or LASTS. */
    private static final class Failure extends IOException {
        private static final long serialVersionUID = 1;

        final boolean passes;

        Failure(boolean passes, String message) {
            this(passes, message, null);
        }

        Failure(boolean passes, String message, Throwable cause) {
            super(message, cause);
            this.passes = passes;
        }
    }

    /**
     * @param proxies  where requests go through
     * @param patience how long a server may be silent
     * @param pause    before the second attempt; twice as long before each later one
     */
    Downloader(ProxySelector proxies, Duration patience, Duration pause) {
        this.client = HttpClient.newBuilder().proxy(proxies).connectTimeout(patience)
                .followRedirects(HttpClient.Redirect.NORMAL).build();
        this.patience = patience;
        this.pause = pause;
    }

    /** A downloader that honours the proxies of the JVM and of the environment, and waits as long as people do. */
    public Downloader() {
        this(new EnvironmentProxies(System.getenv()), Duration.ofSeconds(30), Duration.ofSeconds(1));
    }

    /**
     * Fetches a file.
     *
     * @param target whose folder exists; what has arrived so far lies beside it in {@code TARGET.part}
     * @throws EnvironmentException         with one sentence if it cannot be had
     * @throws OverlappingFileLockException if it is being fetched already, by this process or another
     * @throws IOException                  if it cannot be kept here: to fetch it in another way would not help
     */
    public void fetch(URI url, Path target, Progress progress) throws IOException {
        Path part = target.resolveSibling(target.getFileName() + ".part");
        Duration wait = pause;
        int fruitless = 0;
        while (true) {
            long before = sizeOf(part);
            try {
                attempt(url, part, progress);
                Files.move(part, target, StandardCopyOption.REPLACE_EXISTING);
                Files.deleteIfExists(versionOf(part));
                return;
            } catch (Failure e) {
                if (!e.passes) {
                    throw new EnvironmentException(url + ": cannot be fetched (" + e.getMessage() + ").", e);
                }
                boolean gained = sizeOf(part) > before;
                fruitless = gained ? 0 : fruitless + 1;
                if (fruitless == FRUITLESS_ATTEMPTS) {
                    throw new EnvironmentException(url + ": " + e.getMessage() + ", " + FRUITLESS_ATTEMPTS
                            + " times in a row.", e);
                }
                wait = gained ? pause : wait;
                sleep(wait);
                wait = wait.multipliedBy(2);
            }
        }
    }

    private void attempt(URI url, Path part, Progress progress) throws IOException {
        String version = version(part);
        long have = version == null ? 0 : sizeOf(part);
        HttpRequest.Builder request = HttpRequest.newBuilder(url).timeout(patience)
                .header("User-Agent", "audiomamba").header("Accept-Encoding", "identity");
        if (have > 0) {
            request.header("Range", "bytes=" + have + "-").header("If-Range", version);
        }
        HttpResponse<InputStream> response = send(request.build());
        try (InputStream body = response.body()) {
            boolean isPart = response.statusCode() == 206;
            Matcher range = CONTENT_RANGE.matcher(response.headers().firstValue("Content-Range").orElse(""));
            long begin = isPart ? beginOf(range, have, part) : 0;
            requireSuccess(response.statusCode(), part);
            long announced = response.headers().firstValueAsLong("Content-Length").orElse(-1);
            // A server may send less than it is asked for.
            long total = isPart && !range.group(2).equals("*")
                    ? Long.parseLong(range.group(2))
                    : announced == -1 ? -1 : begin + announced;
            requireRoom(part, total, begin);
            Optional<String> entityTag = response.headers().firstValue("ETag").filter(tag -> !tag.startsWith("W/"));
            try (FileChannel out = FileChannel.open(part, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
                if (out.tryLock() == null) {
                    throw new OverlappingFileLockException(); // as it throws itself for a thread of this process
                }
                if (begin == 0) {
                    Files.deleteIfExists(versionOf(part));
                }
                out.truncate(begin).position(begin);
                if (entityTag.isPresent()) {
                    Files.writeString(versionOf(part), entityTag.get());
                }
                copy(body, out, total, progress);
            }
        }
    }

    private HttpResponse<InputStream> send(HttpRequest request) throws IOException {
        try {
            return client.send(request, BodyHandlers.ofInputStream());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Failure(LASTS, "interrupted", e);
        } catch (UnknownHostException | ConnectException e) {
            // Retrying does not conjure up a network.
            throw new Failure(LASTS, "is there a network? " + e.getClass().getSimpleName(), e);
        } catch (IOException e) {
            throw new Failure(PASSES, "the server does not answer ("
                    + (e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage()) + ")", e);
        }
    }

    private static void requireSuccess(int status, Path part) throws IOException {
        if (status == 200 || status == 206) {
            return;
        }
        if (status == 416) { // what lies here is longer than the file
            Files.deleteIfExists(part);
            throw new Failure(PASSES, "the server refuses to go on with a download");
        }
        if (status == 408 || status == 429 || status >= 500) {
            throw new Failure(PASSES, "the server answers with HTTP status " + status);
        }
        throw new Failure(LASTS, status == 404
                ? "there is no such file there, HTTP status 404"
                : status / 100 == 3
                        ? "the server redirects in circles or to an unsafe place"
                        : "HTTP status " + status);
    }

    /** Where the part that the server sends begins; it must be where ours ends. */
    private static long beginOf(Matcher range, long have, Path part) throws IOException {
        if (!range.matches() || Long.parseLong(range.group(1)) != have) {
            Files.deleteIfExists(part);
            throw new Failure(PASSES, "the server sends another part than was asked for");
        }
        return have;
    }

    private static void requireRoom(Path part, long total, long have) throws IOException {
        if (total > LIMIT) {
            throw new Failure(LASTS, "it has " + total + " bytes, more than the " + LIMIT + " that a model may have");
        }
        long free = part.toAbsolutePath().getParent().toFile().getUsableSpace();
        if (total - have > free) {
            throw new IOException("it needs " + (total - have) + " bytes, but " + part.toAbsolutePath().getParent()
                    + " has room for " + free);
        }
    }

    private void copy(InputStream body, FileChannel out, long total, Progress progress) throws IOException {
        AtomicLong arrived = new AtomicLong(out.position());
        AtomicBoolean silent = new AtomicBoolean();
        Thread watch = Thread.ofVirtual().start(() -> watch(body, arrived, silent));
        byte[] chunk = new byte[CHUNK];
        try {
            for (int n = read(body, chunk, arrived, silent); n >= 0; n = read(body, chunk, arrived, silent)) {
                WholeFile.writeFully(out, ByteBuffer.wrap(chunk, 0, n));
                if (arrived.addAndGet(n) > LIMIT) {
                    throw new Failure(LASTS, "it goes on for more than " + LIMIT + " bytes");
                }
                progress.at(arrived.get(), total);
            }
        } finally {
            watch.interrupt();
        }
        if (silent.get() || total >= 0 && arrived.get() != total) {
            throw new Failure(PASSES, "the connection ends after " + arrived.get() + " bytes");
        }
    }

    /** What fails here is the network; a disk that is full fails elsewhere, and to try again does not help it. */
    private static int read(InputStream body, byte[] chunk, AtomicLong arrived, AtomicBoolean silent)
            throws Failure {
        try {
            return body.read(chunk);
        } catch (IOException e) {
            throw new Failure(PASSES, silent.get()
                    ? "the server falls silent after " + arrived.get() + " bytes"
                    : "the connection breaks after " + arrived.get() + " bytes", e);
        }
    }

    /** Ends a connection on which nothing arrives. */
    private void watch(InputStream body, AtomicLong arrived, AtomicBoolean silent) {
        try {
            long before;
            do {
                before = arrived.get();
                Thread.sleep(patience);
            } while (arrived.get() > before);
            silent.set(true);
            body.close();
        } catch (InterruptedException | IOException e) {
            // The download is over.
        }
    }

    private static long sizeOf(Path part) {
        return part.toFile().length();
    }

    /** The version that a server calls what we have of it; null if it has no name, so that we must begin anew. */
    private static String version(Path part) throws IOException {
        Path file = versionOf(part);
        if (!Files.exists(file)) {
            return null;
        }
        String version = Files.readString(file, StandardCharsets.ISO_8859_1); // after a crash, any bytes
        return VERSION.matcher(version).matches() ? version : null;
    }

    private static Path versionOf(Path part) {
        return part.resolveSibling(part.getFileName() + ".version");
    }

    private static void sleep(Duration duration) throws EnvironmentException {
        try {
            Thread.sleep(duration);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new EnvironmentException("The download was interrupted.", e);
        }
    }
}

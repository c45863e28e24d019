package io.audiomamba.registry;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A server of one file on this machine that behaves as it is told, request by request, and then well. */
final class FileServer implements AutoCloseable {

    /** What is done with one request. */
    @FunctionalInterface
    interface Answer {
        void to(HttpExchange request) throws IOException;
    }

    private final HttpServer server;
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final byte[] content;
    private final Queue<Answer> script = new ArrayDeque<>();
    private final List<String> ranges = Collections.synchronizedList(new ArrayList<>());
    private final List<URI> asked = Collections.synchronizedList(new ArrayList<>());
    private final CountDownLatch end = new CountDownLatch(1);
    private String version = "\"1\"";

    FileServer(byte[] content, Answer... script) throws IOException {
        this.content = content;
        this.script.addAll(List.of(script));
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/", this::handle);
        server.start();
    }

    URI url() {
        return URI.create("http://127.0.0.1:" + port() + "/file");
    }

    int port() {
        return server.getAddress().getPort();
    }

    /** The Range header of each request, "" for none. */
    List<String> ranges() {
        return ranges;
    }

    /** The address of each request, as it was written. */
    List<URI> asked() {
        return asked;
    }

    /** The server's name for what it serves from now on. */
    void setVersion(String entityTag) {
        version = entityTag;
    }

    private void handle(HttpExchange request) throws IOException {
        String range = request.getRequestHeaders().getFirst("Range");
        ranges.add(range == null ? "" : range);
        asked.add(request.getRequestURI());
        Answer answer = script.poll();
        try (request) {
            (answer == null ? (Answer) this::serve : answer).to(request);
        }
    }

    /** As a good server does, ranges and all. */
    void serve(HttpExchange request) throws IOException {
        String range = request.getRequestHeaders().getFirst("Range");
        boolean part = range != null && version.equals(request.getRequestHeaders().getFirst("If-Range"));
        int begin = part ? Integer.parseInt(range.replaceAll("bytes=(\\d+)-", "$1")) : 0;
        if (version != null) {
            request.getResponseHeaders().set("ETag", version);
        }
        if (part) {
            request.getResponseHeaders().set("Content-Range",
                    "bytes %d-%d/%d".formatted(begin, content.length - 1, content.length));
        }
        byte[] rest = Arrays.copyOfRange(content, begin, content.length);
        request.sendResponseHeaders(part ? 206 : 200, rest.length);
        request.getResponseBody().write(rest);
    }

    /** Announces everything from where it was asked to begin, sends {@code bytes} of it, and hangs up. */
    Answer cutOffAfter(int bytes) {
        return request -> {
            request.getResponseHeaders().set("ETag", version);
            request.sendResponseHeaders(200, content.length);
            request.getResponseBody().write(content, 0, bytes);
            request.getResponseBody().flush();
        };
    }

    /** Sends {@code bytes} and then nothing more, without hanging up. */
    Answer silentAfter(int bytes) {
        return request -> {
            request.getResponseHeaders().set("ETag", version);
            request.sendResponseHeaders(200, content.length);
            request.getResponseBody().write(content, 0, bytes);
            request.getResponseBody().flush();
            try {
                end.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        };
    }

    /** Byte by byte, of a length that it does not say. */
    Answer trickle() {
        return request -> {
            request.sendResponseHeaders(200, 0);
            OutputStream body = request.getResponseBody();
            for (byte b : content) {
                body.write(b);
                body.flush();
            }
        };
    }

    static Answer status(int status) {
        return request -> request.sendResponseHeaders(status, -1);
    }

    static Answer redirect(String to) {
        return request -> {
            request.getResponseHeaders().set("Location", to);
            request.sendResponseHeaders(302, -1);
        };
    }

    @Override
    public void close() {
        end.countDown();
        server.stop(0);
        threads.shutdownNow();
    }
}

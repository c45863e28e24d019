package io.audiomamba.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Prints in UTF-8, and remembers why something could not be printed, which a PrintWriter keeps to itself. */
final class Output extends PrintWriter {

    private static final int TYPE = 0170000;
    private static final List<Integer> PIPES = List.of(0010000, 0140000); // and sockets

    private final Target target;
    private final boolean piped;

    /** @param piped whether somebody else reads the stream, and may stop to */
    Output(OutputStream stream, boolean piped) {
        this(new Target(stream), piped);
    }

    private Output(Target target, boolean piped) {
        super(target, true, StandardCharsets.UTF_8);
        this.target = target;
        this.piped = piped;
    }

    /** The process' standard output. */
    static Output standard() {
        return new Output(new FileOutputStream(FileDescriptor.out), isPiped());
    }

    /** The exception that a closed pipe gives says so in the system's language only. */
    private static boolean isPiped() {
        try {
            return PIPES.contains((int) Files.getAttribute(Path.of("/dev/stdout"), "unix:mode") & TYPE);
        } catch (IOException | UnsupportedOperationException | IllegalArgumentException _) {
            return false; // not such a system
        }
    }

    private static final class Target extends FilterOutputStream {

        private IOException failure;

        Target(OutputStream stream) {
            super(stream);
        }

        @Override
        public void write(byte[] bytes, int from, int length) throws IOException {
            try {
                out.write(bytes, from, length);
            } catch (IOException e) {
                failure = e;
                throw e;
            }
        }
    }

    /** Why not all could be printed. That nobody reads on, as behind {@code | head}, is no failure. */
    Optional<String> failure() {
        flush();
        return piped ? Optional.empty() : Optional.ofNullable(target.failure).map(IOException::getMessage);
    }
}

package io.audiomamba.cli;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Optional;

/** Prints in UTF-8, and remembers why something could not be printed, which a PrintWriter keeps to itself. */
final class Output extends PrintWriter {

    private final Target target;

    Output(OutputStream stream) {
        this(new Target(stream));
    }

    private Output(Target target) {
        super(target, true, StandardCharsets.UTF_8);
        this.target = target;
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
        return Optional.ofNullable(target.failure).map(IOException::getMessage)
                .filter(reason -> !reason.toLowerCase(Locale.ROOT).contains("pipe"));
    }
}

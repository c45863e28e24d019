package io.audiomamba.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the operating system says of this process; known on Linux only. */
final class ProcessMemory {

    private static final Path STATUS = Path.of("/proc/self/status");

    private ProcessMemory() {}

    /** The largest resident set so far, in bytes; 0 where it is not known. */
    static long peak() throws IOException {
        return read("VmHWM");
    }

    /** The resident set now, in bytes; 0 where it is not known. */
    static long resident() throws IOException {
        return read("VmRSS");
    }

    private static long read(String field) throws IOException {
        if (!Files.exists(STATUS)) {
            return 0;
        }
        return Files.readAllLines(STATUS).stream().filter(line -> line.startsWith(field))
                .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", ""))).findFirst().orElse(0);
    }
}

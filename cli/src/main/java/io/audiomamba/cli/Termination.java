package io.audiomamba.cli;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntSupplier;

/**
 * How the process ends when it is told to (Ctrl-C, SIGTERM, SIGHUP): at once, or when what is under way has come to a
 * good end. It ends without the exit handlers of its libraries: OpenBLAS' joins its threads, and waits for good if one
 * of ours is computing with them.
 */
final class Termination {

    /** By the names of Java's threads that handle them, the exit codes that shells give: 128 and the signal's number. */
    private static final Map<String, Integer> SIGNALS = Map.of("SIGHUP handler", 129, "SIGINT handler", 130,
            "SIGTERM handler", 143);

    private static final ReentrantLock UNDER_WAY = new ReentrantLock();
    private static volatile Runnable stop = () -> {};
    /** Whether the process ends by itself. */
    private static volatile boolean done;

    private Termination() {}

    /** Call first. */
    static void prepare() {
        Runtime.getRuntime().addShutdownHook(new Thread(Termination::end, "termination"));
    }

    /** Runs {@code body}; when the process is told to end meanwhile, {@code stopping} makes it return soon. */
    static int stoppable(Runnable stopping, IntSupplier body) {
        stop = stopping; // first: who is told to end meanwhile waits for the lock
        UNDER_WAY.lock();
        try {
            return body.getAsInt();
        } finally {
            stop = () -> {};
            UNDER_WAY.unlock();
        }
    }

    /** Ends the process, unless it was told to end and therefore does already. */
    static void exit(int code) {
        done = true;
        System.exit(code);
    }

    private static void end() {
        if (!done) {
            stop.run();
            UNDER_WAY.lock();
            endAtOnce(Thread.getAllStackTraces().keySet().stream().map(thread -> SIGNALS.get(thread.getName()))
                    .filter(code -> code != null).findFirst().orElse(Main.ENVIRONMENT));
        }
    }

    @SuppressWarnings("restricted")
    private static void endAtOnce(int code) {
        Linker linker = Linker.nativeLinker();
        linker.defaultLookup().find("_exit").ifPresent(exit -> {
            try {
                linker.downcallHandle(exit, FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT)).invoke(code);
            } catch (Throwable e) {
                throw new IllegalStateException("_exit", e);
            }
        });
    }
}

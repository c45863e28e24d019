package io.audiomamba.torch;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;
import org.bytedeco.pytorch.global.torch;

/** Runs the independent parts of an operation of ours on as many threads as LibTorch uses, the caller's among them. */
public final class Workers {

    private static final ExecutorService POOL = Executors
            .newCachedThreadPool(Thread.ofPlatform().daemon().name("audiomamba-worker-", 0).factory());

    private Workers() {}

    /** Whether they may use the Vector API: the JVM was started with {@code --add-modules jdk.incubator.vector}. */
    public static boolean hasVectorApi() {
        return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
    }

    /**
     * Calls {@code task} once with each of 0, ..., {@code tasks} - 1, and returns when all are done. If one fails, no more
     * are begun, and those that are under way are waited for; then its exception is thrown, with any others suppressed.
     */
    public static void run(int tasks, IntConsumer task) {
        int threads = torch.get_num_threads();
        AtomicInteger next = new AtomicInteger();
        Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
        Runnable worker = () -> {
            try {
                for (int i = next.getAndIncrement(); i < tasks && failures.isEmpty(); i = next.getAndIncrement()) {
                    task.accept(i);
                }
            } catch (RuntimeException | Error e) {
                failures.add(e);
            }
        };
        List<Future<?>> helpers = new ArrayList<>();
        try {
            for (int i = 1; i < Math.min(tasks, threads); i++) {
                helpers.add(POOL.submit(worker));
            }
            worker.run();
        } finally {
            helpers.forEach(Workers::await);
        }
        if (!failures.isEmpty()) {
            throw first(failures);
        }
    }

    private static RuntimeException first(Queue<Throwable> failures) {
        Throwable first = failures.remove();
        // The JVM may throw one and the same object in several threads.
        failures.stream().filter(other -> other != first).forEach(first::addSuppressed);
        if (first instanceof Error error) {
            throw error;
        }
        return (RuntimeException) first;
    }

    /** Waits even if the caller is interrupted meanwhile: the helpers write to memory that the caller frees. */
    private static void await(Future<?> helper) {
        boolean interrupted = false;
        while (true) {
            try {
                helper.get();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            } catch (ExecutionException e) {
                throw new IllegalStateException("a worker keeps its failures", e);
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}

package io.audiomamba.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.util.Set;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;

class WorkersTest {

    private static final int THREADS = 3;

    /** Where each of three tasks waits for the others: so each has a thread of its own. */
    private final CyclicBarrier together = new CyclicBarrier(THREADS);

    @BeforeEach
    void useThreads() {
        Natives.setThreads(THREADS);
    }

    @AfterEach
    void restoreThreads() {
        Natives.setThreads(2);
    }

    private void meet() {
        try {
            together.await();
        } catch (InterruptedException | BrokenBarrierException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void everyTaskIsRunOnce() {
        Set<Integer> done = ConcurrentHashMap.newKeySet();
        Workers.run(100, task -> assertThat(done.add(task)).isTrue());
        assertThat(done).hasSize(100);
    }

    @Test
    void theFirstFailureIsThrownWithTheOthers() {
        Throwable thrown = catchThrowable(() -> Workers.run(THREADS, task -> {
            meet();
            throw new IllegalArgumentException("task " + task);
        }));
        assertThat(thrown).isInstanceOf(IllegalArgumentException.class);
        assertThat(thrown.getSuppressed()).hasSize(THREADS - 1)
                .allMatch(other -> other instanceof IllegalArgumentException);
    }

    /** A helper that goes on after the call would write to memory that is freed. Which helper fails is chance. */
    @RepeatedTest(10)
    void allAreWaitedForWhenOneFails() {
        Thread caller = Thread.currentThread();
        AtomicBoolean callerDone = new AtomicBoolean();
        AtomicBoolean failed = new AtomicBoolean();
        AtomicBoolean returned = new AtomicBoolean();
        CompletableFuture<Boolean> waitedFor = new CompletableFuture<>();
        assertThatThrownBy(() -> Workers.run(THREADS, _ -> {
            meet();
            if (Thread.currentThread() == caller) {
                callerDone.set(true);
                return;
            }
            if (failed.compareAndSet(false, true)) {
                throw new IllegalArgumentException("helper");
            }
            while (!returned.get() && !(callerDone.get() && caller.getState() == Thread.State.WAITING)) {
                Thread.onSpinWait();
            }
            waitedFor.complete(!returned.get());
        })).hasMessage("helper");
        returned.set(true);
        assertThat(waitedFor.join()).isTrue();
    }
}

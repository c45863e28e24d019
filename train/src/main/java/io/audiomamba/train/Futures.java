package io.audiomamba.train;

import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;

/** What other threads were asked to do. */
final class Futures {

    private Futures() {}

    /** The result, once it is there; what the other thread threw is thrown here. */
    static <T> T result(Future<T> future) {
        try {
            return future.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case RuntimeException cause -> throw cause;
                case Error cause -> throw cause;
                case Throwable cause -> throw new IllegalStateException(cause);
            }
        }
    }
}

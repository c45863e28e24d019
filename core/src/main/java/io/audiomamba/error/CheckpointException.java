package io.audiomamba.error;

/** A checkpoint that cannot be read, or does not fit the model. */
public final class CheckpointException extends AudioMambaException {

    private static final long serialVersionUID = 1L;

    public CheckpointException(String message) {
        this(message, null);
    }

    public CheckpointException(String message, Throwable cause) {
        super(message, cause);
    }
}

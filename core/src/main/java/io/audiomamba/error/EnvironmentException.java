package io.audiomamba.error;

/** A machine that lacks what AudioMamba needs: natives, a GPU, a writable folder. */
public final class EnvironmentException extends AudioMambaException {

    private static final long serialVersionUID = 1L;

    public EnvironmentException(String message) {
        this(message, null);
    }

    public EnvironmentException(String message, Throwable cause) {
        super(message, cause);
    }
}

package io.audiomamba.error;

/** An audio input that cannot be decoded, or that holds nothing to work on. */
public final class AudioException extends AudioMambaException {

    private static final long serialVersionUID = 1L;

    public AudioException(String message) {
        this(message, null);
    }

    public AudioException(String message, Throwable cause) {
        super(message, cause);
    }
}

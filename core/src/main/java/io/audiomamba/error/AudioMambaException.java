package io.audiomamba.error;

/**
 * What went wrong, in one sentence that a user can act on: it names the file or setting, what is wrong with it
 * and what would be right.
 */
public abstract sealed class AudioMambaException extends RuntimeException
        permits AudioException, CheckpointException, ConfigurationException, EnvironmentException {

    private static final long serialVersionUID = 1L;

    AudioMambaException(String message, Throwable cause) {
        super(message, cause);
    }
}

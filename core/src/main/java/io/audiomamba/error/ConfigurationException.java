package io.audiomamba.error;

/** An option, configuration value or label file that makes no sense. */
public final class ConfigurationException extends AudioMambaException {

    private static final long serialVersionUID = 1L;

    public ConfigurationException(String message) {
        this(message, null);
    }

    public ConfigurationException(String message, Throwable cause) {
        super(message, cause);
    }
}

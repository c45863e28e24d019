package io.audiomamba.cli;

/** The command {@code audiomamba}. */
public final class Main {

    private Main() {}
}

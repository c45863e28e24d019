package io.audiomamba.cli;

import io.audiomamba.torch.Natives;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code --threads}, for every command that computes. */
final class ThreadsOption {

    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    private Integer threads;

    @Option(names = "--threads", paramLabel = "N", description = "Threads to compute with; by default one for each core.")
    void setThreads(int count) {
        if (count < 1 || count > Natives.MOST_THREADS) {
            throw new ParameterException(spec.commandLine(),
                    "--threads is " + count + " but must be 1 to " + Natives.MOST_THREADS + ".");
        }
        threads = count;
    }

    /** Call before anything is computed. */
    void apply() {
        if (threads != null) {
            Natives.setThreads(threads);
        }
    }
}

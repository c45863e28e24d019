package io.audiomamba.cli;

import io.audiomamba.error.AudioException;
import io.audiomamba.error.CheckpointException;
import io.audiomamba.error.ConfigurationException;
import io.audiomamba.error.EnvironmentException;
import io.audiomamba.torch.MemoryShortage;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.TypeConversionException;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command {@code audiomamba}. */
@Command(name = "audiomamba", mixinStandardHelpOptions = true, versionProvider = Version.class, subcommands = {
        TagCommand.class, InitCommand.class, InfoCommand.class, DoctorCommand.class, PackCommand.class,
        StatsCommand.class, TrainCommand.class, EvaluateCommand.class, CrossvalCommand.class, ImportCommand.class,
        ExportCommand.class, PullCommand.class, ModelsCommand.class}, description = {
                "Names what is heard in a sound, with a state space model.",
                ""}, exitCodeListHeading = "%nExit codes:%n", exitCodeList = {
                        "0:done", "1:some inputs failed", "2:wrong usage",
                        "3:this machine lacks something, such as a folder that can be written to",
                        "130:ended by Ctrl-C (143 by SIGTERM)"})
public final class Main {

    /** The model that is bundled. */
    static final String MODEL = "esc10";

    /** Everything asked for was done. */
    static final int DONE = 0;
    /** Some inputs could not be used. */
    static final int INPUT_FAILED = 1;
    /** The command line makes no sense. */
    static final int USAGE = 2;
    /** Something is wrong with the machine or the installation. */
    static final int ENVIRONMENT = 3;

    private Main() {}

    public static void main(String[] arguments) {
        Termination.prepare();
        Termination.exit(run(commandLine(), Output.standard(), arguments));
    }

    /** Runs a command that prints to {@code out}; its exit code. */
    static int run(CommandLine line, Output out, String... arguments) {
        line.setOut(out);
        int code = run(line, arguments);
        return out.failure().map(reason -> {
            line.getErr().println("audiomamba: the output could not be written (" + reason + ").");
            return ENVIRONMENT;
        }).orElse(code);
    }

    /** Runs a command; its exit code. */
    static int run(CommandLine line, String... arguments) {
        try {
            return line.execute(arguments);
        } catch (ExceptionInInitializerError | NoClassDefFoundError e) {
            // Classes that need a native library load it when they are initialised.
            Throwable cause = e.getCause() instanceof ExceptionInInitializerError inner
                    ? inner.getCause()
                    : e.getCause();
            line.getErr().println("audiomamba: " + messageOf(cause instanceof Exception reason ? reason : e));
        } catch (OutOfMemoryError e) {
            line.getErr().println("audiomamba: the memory does not suffice"
                    + (e.getMessage() == null ? "" : " (" + e.getMessage() + ")")
                    + "; AUDIOMAMBA_JAVA_OPTIONS=-Xmx4g gives the JVM more.");
        }
        return ENVIRONMENT;
    }

    /** The parser of the command, with this project's error messages. */
    static CommandLine commandLine() {
        CommandLine line = new CommandLine(new Main());
        line.setErr(new PrintWriter(System.err, true, StandardCharsets.UTF_8));
        line.setCaseInsensitiveEnumValuesAllowed(true);
        line.setExpandAtFiles(false); // sounds may be called @take.wav
        line.registerConverter(Path.class, Main::path);
        line.setParameterExceptionHandler((e, _) -> {
            CommandLine command = e.getCommandLine();
            boolean noCommand = command == line && e instanceof UnmatchedArgumentException u && !u.isUnknownOption();
            command.getErr().println("audiomamba: " + e.getMessage() + (noCommand
                    ? "; the commands are " + String.join(", ", line.getSubcommands().keySet()) + "."
                    : ""));
            command.getErr().println("Try '" + command.getCommandSpec().qualifiedName() + " --help'.");
            return USAGE;
        });
        line.setExecutionExceptionHandler((thrown, command, _) -> {
            Exception e = thrown instanceof RuntimeException raw ? MemoryShortage.translated(raw) : thrown;
            command.getErr().println("audiomamba: " + messageOf(e));
            return exitCode(e);
        });
        line.getSubcommands().values().forEach(sub -> sub.getCommandSpec().usageMessage().width(100));
        return line;
    }

    private static Path path(String name) {
        if (name.isEmpty()) {
            throw new TypeConversionException("an empty path names no file");
        }
        return Path.of(name);
    }

    /**
     * Checks that a file is not written over what it is made of.
     *
     * @param input its name on the command line
     * @throws ParameterException if {@code output} is {@code from}
     */
    static void requireOther(CommandSpec command, Path output, Path from, String input) {
        try {
            if (Files.exists(output) && Files.exists(from) && Files.isSameFile(output, from)) {
                throw new ParameterException(command.commandLine(),
                        "--output and " + input + " are the same file, " + output + ".");
            }
        } catch (IOException e) {
            throw new EnvironmentException(output + ": cannot be read (" + e.getMessage() + ").", e);
        }
    }

    /** One sentence for the user; of an error that we did not foresee, its kind and its first line (LibTorch's have many). */
    private static String messageOf(Throwable e) {
        if (e instanceof InvalidPathException path) {
            return "'" + path.getInput() + "' cannot be the name of a file here: " + path.getReason() + ".";
        }
        return exitCode(e) == ENVIRONMENT && !(e instanceof EnvironmentException)
                ? "internal error: " + e.toString().lines().findFirst().orElseThrow() + " (please report it)"
                : e.getMessage();
    }

    private static int exitCode(Throwable e) {
        return switch (e) {
            case AudioException _,CheckpointException _ -> INPUT_FAILED;
            case ConfigurationException _,ParameterException _,InvalidPathException _ -> USAGE;
            default -> ENVIRONMENT;
        };
    }
}

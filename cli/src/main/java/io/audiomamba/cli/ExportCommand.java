package io.audiomamba.cli;

import io.audiomamba.Models;
import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.checkpoint.DType;
import io.audiomamba.checkpoint.Naming;
import io.audiomamba.exchange.Export;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code audiomamba export}. */
@Command(name = "export", mixinStandardHelpOptions = true, description = "Writes a model for the authors' Python code.")
final class ExportCommand implements Callable<Integer> {

    /** Names of publishers on the command line. */
    static final class NamingConverter implements ITypeConverter<Naming> {
        @Override
        public Naming convert(String name) {
            return switch (name) {
                case "vmamba" -> Naming.VMAMBA;
                case "dass" -> Naming.DASS;
                case "hf" -> Naming.HUGGING_FACE;
                default -> throw new TypeConversionException("there are vmamba, dass and hf, not '" + name + "'");
            };
        }
    }

    /** Names of element types on the command line. */
    static final class TypeConverter implements ITypeConverter<DType> {
        @Override
        public DType convert(String name) {
            return switch (name) {
                case "f32" -> DType.F32;
                case "f16" -> DType.F16;
                default -> throw new TypeConversionException("there are f16 and f32, not '" + name + "'");
            };
        }
    }

    @Spec
    private CommandSpec spec;

    @Parameters(paramLabel = "CHECKPOINT", description = "A file, or the name of a model.")
    private String model;

    @Option(names = "--format", paramLabel = "F", required = true, description = "pth or safetensors.")
    private Export.Format format;

    @Option(names = "--names", paramLabel = "N", defaultValue = "vmamba", converter = NamingConverter.class, description = "Whose names the tensors get: vmamba, dass, or hf for DASS in Hugging Face's Transformers (${DEFAULT-VALUE}).")
    private Naming naming;

    @Option(names = "--dtype", paramLabel = "T", defaultValue = "f32", converter = TypeConverter.class, description = "f16 or f32 (${DEFAULT-VALUE}).")
    private DType type;

    @Option(names = {"-o", "--output"}, paramLabel = "OUT", required = true, description = "Where to write it.")
    private Path output;

    @Override
    public Integer call() {
        Models.file(model).ifPresent(file -> Main.requireOther(spec, output, file, "CHECKPOINT"));
        try (Checkpoint checkpoint = Models.open(model)) {
            Export.write(checkpoint, output, format, naming, type);
            spec.commandLine().getOut().printf("%s: %d tensors%n", output, checkpoint.tensors().size());
        }
        return Main.DONE;
    }
}

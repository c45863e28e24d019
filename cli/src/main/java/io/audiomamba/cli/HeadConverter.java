package io.audiomamba.cli;

import io.audiomamba.model.ModelConfig.HeadKind;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** The names of heads on the command line. */
final class HeadConverter implements ITypeConverter<HeadKind> {

    @Override
    public HeadKind convert(String name) {
        return switch (name) {
            case "token-semantic" -> HeadKind.TOKEN_SEMANTIC;
            case "linear" -> HeadKind.LINEAR;
            default -> throw new TypeConversionException("there are token-semantic and linear, not '" + name + "'");
        };
    }
}

package io.audiomamba.torch;

import io.audiomamba.error.EnvironmentException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** A C library of the system, called through the Foreign Function and Memory API; all its functions return an int. */
final class NativeLibrary {

    private final String name;
    private final SymbolLookup symbols;

    private NativeLibrary(String name, SymbolLookup symbols) {
        this.name = name;
        this.symbols = symbols;
    }

    /**
     * Opens the first of {@code candidates} that there is.
     *
     * @throws EnvironmentException naming them if there is none
     */
    @SuppressWarnings("restricted")
    static NativeLibrary firstOf(String... candidates) {
        for (String candidate : candidates) {
            try {
                return new NativeLibrary(candidate, SymbolLookup.libraryLookup(candidate, Arena.global()));
            } catch (IllegalArgumentException _) {
                continue; // not on this machine: the next one may be
            }
        }
        throw new EnvironmentException("None of the libraries " + String.join(", ", candidates) + " can be loaded.");
    }

    /** What was found. */
    String name() {
        return name;
    }

    /** The function {@code function} with the given parameters. */
    @SuppressWarnings("restricted")
    MethodHandle function(String function, MemoryLayout... parameters) {
        return Linker.nativeLinker().downcallHandle(
                symbols.find(function)
                        .orElseThrow(() -> new EnvironmentException(name + " has no function " + function + ".")),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, parameters));
    }

    /** Calls {@code function} and returns its status. */
    static int call(MethodHandle function, Object... arguments) {
        try {
            return (int) function.invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new IllegalStateException("a native call cannot be made", e);
        }
    }
}

package io.audiomamba.torch;

import io.audiomamba.error.EnvironmentException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.util.Optional;

/**
 * A C library of the system, called through the Foreign Function and Memory API; all its functions return an int. If it, or
 * a function, is not on this machine, that function's calls say so: classes that hold functions can be loaded without it.
 */
final class NativeLibrary {

    private final String name;
    private final SymbolLookup symbols;
    private final String lack;

    private NativeLibrary(String name, SymbolLookup symbols, String lack) {
        this.name = name;
        this.symbols = symbols;
        this.lack = lack;
    }

    /** The first of {@code candidates} that there is. */
    @SuppressWarnings("restricted")
    static NativeLibrary firstOf(String... candidates) {
        for (String candidate : candidates) {
            try {
                return new NativeLibrary(candidate, SymbolLookup.libraryLookup(candidate, Arena.global()), null);
            } catch (IllegalArgumentException _) {
                continue; // not on this machine: the next one may be
            }
        }
        String all = String.join(", ", candidates);
        return new NativeLibrary(all, _ -> Optional.empty(), "None of the libraries " + all + " can be loaded.");
    }

    /** Why it cannot be used, in one sentence; null if it can. */
    String lack() {
        return lack;
    }

    /** What was found. */
    String name() {
        return name;
    }

    /** The function {@code function} with the given parameters. */
    @SuppressWarnings("restricted")
    MethodHandle function(String function, MemoryLayout... parameters) {
        FunctionDescriptor type = FunctionDescriptor.of(ValueLayout.JAVA_INT, parameters);
        return symbols.find(function).map(address -> Linker.nativeLinker().downcallHandle(address, type))
                .orElseGet(() -> MethodHandles.dropArguments(
                        MethodHandles.throwException(int.class, EnvironmentException.class).bindTo(
                                new EnvironmentException(
                                        lack == null ? name + " has no function " + function + "." : lack)),
                        0, type.toMethodType().parameterList()));
    }

    /** A function with its arguments. */
    interface Call {
        int status() throws Throwable;
    }

    /**
     * Calls {@code function} and returns its status.
     *
     * @throws EnvironmentException if there is none
     */
    static int call(MethodHandle function, Object... arguments) {
        return call(() -> (int) function.invokeWithArguments(arguments));
    }

    /** The same with {@code invokeExact}, in a tenth of the time: for what is called often. */
    static int call(Call call) {
        try {
            return call.status();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("a native call cannot be made", e);
        }
    }
}

package io.audiomamba.cli;

import io.audiomamba.diagnosis.Diagnosis;
import io.audiomamba.golden.GoldenSuite;
import io.audiomamba.golden.Precision;
import io.audiomamba.scan.ScanKernel;
import io.audiomamba.scan.ScanKernels;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.bytedeco.pytorch.Device;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code audiomamba doctor}. */
@Command(name = "doctor", mixinStandardHelpOptions = true, description = "Looks at this machine, or checks the numerics against reference outputs.")
final class DoctorCommand implements Callable<Integer> {

    private static final String ROW = "%-46s %-7s %-4s %9s %9s  %s%n";

    @Spec
    private CommandSpec spec;

    @Option(names = "--golden", paramLabel = "DIR", description = "Run every case that DIR/index.json lists.")
    private Path golden;

    @Option(names = "--scan", paramLabel = "K", description = "Scan kernel; by default the fastest that runs here.")
    private String scan;

    @Option(names = "--precision", paramLabel = "P", description = "With --golden: fp32, the default; or bf16 or fp16, mixed precision with tolerances of its own.")
    private Precision precision;

    @Mixin
    private DeviceOption device;

    @Mixin
    private ThreadsOption threads;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        if (precision != null && golden == null) {
            throw new ParameterException(spec.commandLine(), "--precision goes with --golden.");
        }
        threads.apply();
        Device chosen = device.get();
        ScanKernel kernel = scan == null ? ScanKernels.best(chosen) : ScanKernels.named(scan, chosen);
        if (golden != null) {
            return check(out, new GoldenSuite(golden), kernel, chosen,
                    precision == null ? Precision.FP32 : precision);
        }
        Diagnosis diagnosis = Diagnosis.of(kernel, chosen);
        diagnosis.facts().forEach((name, value) -> out.printf("%-16s %s%n", name, value));
        diagnosis.timings().forEach((name, value) -> out.printf("%-16s %s%n", name, value));
        if (diagnosis.advice().isEmpty()) {
            out.println("Nothing to fix.");
        }
        diagnosis.advice().forEach(advice -> out.println("! " + advice));
        return Main.DONE;
    }

    private static int check(PrintWriter out, GoldenSuite suite, ScanKernel kernel, Device device,
            Precision precision) {
        int failures = 0;
        int single = 0;
        out.printf(ROW, "case", "kernel", "in", "error", "tolerance", "verdict");
        for (String file : suite.cases()) {
            GoldenSuite.Outcome outcome = suite.run(file, kernel, device, precision);
            failures += outcome.passes() ? 0 : 1;
            single += outcome.precision() == precision ? 0 : 1;
            out.print(line(outcome, kernel.name()));
            outcome.comparisons().stream().filter(comparison -> !comparison.passes())
                    .forEach(comparison -> out.printf(Locale.ROOT, "    %s: %.2e, more than %.2e%n",
                            comparison.quantity(), comparison.error(), comparison.tolerance()));
        }
        if (single > 0) {
            out.printf("%d of the cases are computed in fp32 as ever: front ends and files never have 16 bits%n",
                    single);
        }
        out.printf("%d cases, %d failed%n", suite.cases().size(), failures);
        return failures == 0 ? Main.DONE : Main.INPUT_FAILED;
    }

    private static String line(GoldenSuite.Outcome outcome, String kernel) {
        String verdict = outcome.passes() ? "ok" : "FAILED";
        if (outcome.failure() != null) {
            verdict += ": " + outcome.failure();
        } else if (outcome.comparisons().isEmpty()) {
            verdict += ": nothing to compare";
        } else {
            verdict += " (" + outcome.comparisons().size() + " compared, worst " + outcome.worst().quantity() + ")";
        }
        String error = "-";
        String tolerance = "-";
        if (outcome.worst() != null) {
            error = String.format(Locale.ROOT, "%.2e", outcome.worst().error());
            tolerance = String.format(Locale.ROOT, "%.2e", outcome.worst().tolerance());
        }
        return ROW.formatted(outcome.file(), kernel, outcome.precision(), error, tolerance, verdict);
    }
}

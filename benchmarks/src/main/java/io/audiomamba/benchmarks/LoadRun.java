package io.audiomamba.benchmarks;

import io.audiomamba.Models;
import io.audiomamba.checkpoint.Checkpoint;
import io.audiomamba.exchange.ForeignCheckpoint;
import io.audiomamba.torch.Natives;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/**
 * From a file to a model in memory, without LibTorch's own loading, and from another's file to ours:
 * {@code LoadRun MODEL [FOREIGN [RUNS]]}.
 */
public final class LoadRun {

    private LoadRun() {}

    private static double milliseconds(Runnable body) {
        long start = System.nanoTime();
        body.run();
        return (System.nanoTime() - start) / 1e6;
    }

    public static void main(String[] arguments) throws IOException {
        int runs = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 11;
        System.out.printf(Locale.ROOT, "natives %.0f ms%n", milliseconds(Natives::loadTorch));
        print("load " + arguments[0], runs, () -> {
            try (Checkpoint checkpoint = Models.open(arguments[0])) {
                checkpoint.load().parameters().close();
            }
        });
        if (arguments.length > 1) {
            Path out = Files.createTempFile("imported", ".safetensors");
            print("import " + arguments[1], runs, () -> {
                try (ForeignCheckpoint foreign = ForeignCheckpoint.open(Path.of(arguments[1]))) {
                    foreign.write(out, foreign.description());
                }
            });
            Files.delete(out);
        }
        System.out.printf(Locale.ROOT, "peak %.0f MB%n", ProcessMemory.peak() / 1e6);
    }

    private static void print(String what, int runs, Runnable body) {
        double first = milliseconds(body);
        double[] times = new double[runs];
        for (int i = 0; i < runs; i++) {
            times[i] = milliseconds(body);
        }
        Arrays.sort(times);
        System.out.printf(Locale.ROOT, "%s: first %.0f ms, then median %.0f ms of %d%n", what, first, times[runs / 2],
                runs);
    }
}

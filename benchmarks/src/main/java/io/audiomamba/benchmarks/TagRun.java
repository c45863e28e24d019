package io.audiomamba.benchmarks;

import io.audiomamba.AudioTagger;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/**
 * Tagging of one file from decoding to scores, timed call by call: {@code TagRun MODEL FILE [RUNS]}. The resident set is
 * that after a fifth of the calls and after all.
 */
public final class TagRun {

    private TagRun() {}

    public static void main(String[] arguments) throws IOException {
        Path file = Path.of(arguments[1]);
        double[] milliseconds = new double[arguments.length > 2 ? Integer.parseInt(arguments[2]) : 21];
        long start = System.nanoTime();
        try (AudioTagger tagger = AudioTagger.load(arguments[0])) {
            double loading = (System.nanoTime() - start) / 1e6;
            long resident = 0;
            for (int i = 0; i < milliseconds.length; i++) {
                if (i == milliseconds.length / 5) {
                    resident = ProcessMemory.resident();
                }
                start = System.nanoTime();
                tagger.tag(file);
                milliseconds[i] = (System.nanoTime() - start) / 1e6;
            }
            double first = milliseconds[0];
            Arrays.sort(milliseconds);
            System.out.printf(Locale.ROOT,
                    "%s, %d calls: loading %.0f ms, first call %.0f ms, median %.1f ms; RSS %d, then %d MB%n", file,
                    milliseconds.length, loading, first, milliseconds[milliseconds.length / 2], resident / 1_000_000,
                    ProcessMemory.resident() / 1_000_000);
        }
    }
}

package io.audiomamba.cli;

import io.audiomamba.data.CsvTable;
import io.audiomamba.evaluation.Evaluation;
import io.audiomamba.evaluation.EvaluationReport;
import io.audiomamba.evaluation.Interval;
import io.audiomamba.evaluation.Measure;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** How an evaluation is printed. */
enum EvaluationFormat {
    /** For people; classes only where they are few. */
    TEXT {
        private static final int MOST_CLASSES = 60;

        @Override
        void print(Evaluation evaluation, EvaluationReport report, PrintWriter out) {
            out.printf("%s: %d clips, %d classes%s%n", evaluation.data(), evaluation.clips().size(),
                    evaluation.labels().size(),
                    evaluation.failures().isEmpty() ? "" : ", " + evaluation.failures().size() + " skipped");
            boolean shifted = evaluation.shifted() != null;
            out.printf("%-18s %-25s%s%n", "", "plain", shifted ? " " + evaluation.shifts() + " shifts" : "");
            for (Measure measure : Measure.values()) {
                out.printf("%-18s %s%s%n", measure.symbol(), figure(evaluation.plain(), measure),
                        shifted ? " " + figure(evaluation.shifted(), measure) : "");
            }
            out.printf(Locale.ROOT, "%-18s %-25.4f%s%n", "calibration error", evaluation.plain().calibrationError(),
                    shifted ? String.format(Locale.ROOT, " %.4f", evaluation.shifted().calibrationError()) : "");
            if (evaluation.labels().size() > MOST_CLASSES) {
                return;
            }
            out.printf("%n%6s %6s %6s  class%n", "AP", "AUC", "clips");
            for (int c = 0; c < evaluation.labels().size(); c++) {
                out.printf(Locale.ROOT, "%6.4f %6.4f %6d  %s%n", evaluation.plain().metrics().averagePrecision()[c],
                        evaluation.plain().metrics().areaUnderCurve()[c], evaluation.clipsOf(c),
                        evaluation.labels().get(c));
            }
        }

        private static String figure(Evaluation.Scores scores, Measure measure) {
            Interval interval = scores.intervals().get(measure);
            return String.format(Locale.ROOT, "%6.4f (%6.4f to %6.4f)", measure.of(scores.metrics()), interval.low(),
                    interval.high());
        }
    },
    /** One object. */
    JSON {
        @Override
        void print(Evaluation evaluation, EvaluationReport report, PrintWriter out) {
            out.print(report.json());
            out.flush();
        }
    },
    /** A line a class. */
    CSV {
        @Override
        void print(Evaluation evaluation, EvaluationReport report, PrintWriter out) {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            try {
                CsvTable.write(report.classes()).writeTo(bytes);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            out.print(bytes.toString(StandardCharsets.UTF_8));
            out.flush();
        }
    };

    abstract void print(Evaluation evaluation, EvaluationReport report, PrintWriter out);
}

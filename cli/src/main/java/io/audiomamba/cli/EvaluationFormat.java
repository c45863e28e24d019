package io.audiomamba.cli;

import io.audiomamba.data.CsvTable;
import io.audiomamba.evaluation.Evaluation;
import io.audiomamba.evaluation.EvaluationReport;
import io.audiomamba.evaluation.Interval;
import io.audiomamba.evaluation.Measure;
import io.audiomamba.evaluation.Predictions;
import java.io.PrintWriter;
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
            Evaluation.Scores plain = evaluation.plain();
            Evaluation.Scores shifted = evaluation.shifted();
            line(out, "", " plain", shifted == null ? "" : " " + evaluation.shifts() + " shifts");
            for (Measure measure : Measure.values()) {
                line(out, measure.symbol(), figure(plain, measure), shifted == null ? "" : figure(shifted, measure));
            }
            line(out, "calibration error", number(plain.calibrationError()),
                    shifted == null ? "" : number(shifted.calibrationError()));
            if (evaluation.labels().size() > MOST_CLASSES) {
                return;
            }
            Predictions predictions = evaluation.predictions();
            out.printf("%n%6s %6s %6s  class%n", "AP", "AUC", "clips");
            for (int c = 0; c < evaluation.labels().size(); c++) {
                out.printf(Locale.ROOT, "%6s %6s %6d  %s%n",
                        number(plain.metrics().averagePrecision()[c]).strip(),
                        number(plain.metrics().areaUnderCurve()[c]).strip(), predictions.clipsOf(c),
                        evaluation.labels().get(c));
            }
        }

        private static void line(PrintWriter out, String name, String plain, String shifted) {
            out.println(String.format("%-18s %-28s %s", name, plain, shifted).stripTrailing());
        }

        private static String figure(Evaluation.Scores scores, Measure measure) {
            Interval interval = scores.intervals().get(measure);
            return number(measure.of(scores.metrics())) + " (" + number(interval.low()) + " to "
                    + number(interval.high()) + ")";
        }

        private static String number(double value) {
            return Double.isFinite(value)
                    ? String.format(Locale.ROOT, "%7.4f", value)
                    : String.format("%7s", Double.isNaN(value) ? "-" : value > 0 ? "∞" : "-∞");
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
            out.print(CsvTable.text(report.classes()));
            out.flush();
        }
    };

    abstract void print(Evaluation evaluation, EvaluationReport report, PrintWriter out);
}

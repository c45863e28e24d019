package io.audiomamba.train;

import io.audiomamba.checkpoint.Description.Activation;
import io.audiomamba.data.CsvTable;
import io.audiomamba.evaluation.Metrics;
import io.audiomamba.file.WholeFile;
import io.audiomamba.train.CrossValidation.Figure;
import io.audiomamba.train.CrossValidation.Run;
import io.audiomamba.train.CrossValidation.Summary;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.style.Styler.ChartTheme;
import org.knowm.xchart.style.Styler.LegendPosition;
import tools.jackson.databind.ObjectMapper;

/** The outcome of a cross-validation as files. */
public final class CrossValidationReport {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int WIDTH = 900;
    private static final int HEIGHT = 450;

    private final String title;
    private final Activation activation;
    private final Summary summary;
    private final List<Run> runs;

    /**
     * @param title      of the dataset
     * @param activation of the runs' models
     * @param runs       those that the summary is of, and perhaps more
     */
    public CrossValidationReport(String title, Activation activation, Summary summary, List<Run> runs) {
        this.title = title;
        this.activation = activation;
        this.summary = summary;
        this.runs = runs.stream().sorted(Comparator.comparingLong(Run::seed).thenComparingInt(Run::fold)).toList();
    }

    /**
     * Writes {@code crossval.json} (the summary), {@code crossval.csv} (a line a run) and {@code crossval.png}.
     *
     * @return whether there is a picture: not on a machine without fonts
     */
    public boolean write(Path folder) {
        WholeFile.createFolder(folder);
        WholeFile.write(folder.resolve("crossval.json"),
                JSON.writerWithDefaultPrettyPrinter().writeValueAsString(summary) + "\n");
        WholeFile.write(folder.resolve("crossval.csv"), CsvTable.write(rows()));
        Optional<byte[]> picture = picture();
        picture.ifPresent(png -> WholeFile.write(folder.resolve("crossval.png"),
                channel -> WholeFile.writeFully(channel, ByteBuffer.wrap(png))));
        return picture.isPresent();
    }

    private Stream<List<?>> rows() {
        return Stream.concat(
                Stream.of(List.of("seed", "fold", "clips", "accuracy", "mAP", "mAUC", "lwlrap", "accuracy shifted",
                        "mAP shifted", "mAUC shifted", "lwlrap shifted")),
                runs.stream().map(run -> {
                    List<Object> row = new ArrayList<>(List.of(run.seed(), run.fold(), run.plain().clips().size()));
                    for (Metrics metrics : List.of(run.plain().metrics(activation),
                            run.shifted().metrics(activation))) {
                        row.addAll(List.of(metrics.accuracy(), metrics.meanAveragePrecision(),
                                metrics.meanAreaUnderCurve(), metrics.labelWeightedRanking()));
                    }
                    return row;
                }));
    }

    private Optional<byte[]> picture() {
        return Picture.png(() -> {
            CategoryChart chart = new CategoryChartBuilder().width(WIDTH).height(HEIGHT).theme(ChartTheme.Matlab)
                    .title(title + ": accuracy by fold, mean and deviation over seeds").yAxisTitle("accuracy")
                    .build();
            chart.getStyler().setYAxisMin(0.0).setYAxisMax(1.0).setLegendPosition(LegendPosition.OutsideE);
            chart.addSeries("plain", names(), means(summary.foldAccuracies(), summary.accuracy()),
                    deviations(summary.foldAccuracies(), summary.accuracy()));
            chart.addSeries(CrossValidation.SHIFTS + " shifts", names(),
                    means(summary.shiftedFoldAccuracies(), summary.shiftedAccuracy()),
                    deviations(summary.shiftedFoldAccuracies(), summary.shiftedAccuracy()));
            return List.of(chart);
        });
    }

    private List<String> names() {
        return Stream.concat(summary.foldAccuracies().keySet().stream().map(fold -> "fold " + fold), Stream.of("all"))
                .toList();
    }

    private static List<Double> means(Map<Integer, Figure> folds, Figure all) {
        return Stream.concat(folds.values().stream(), Stream.of(all)).map(Figure::mean).toList();
    }

    /** None is drawn where there is one seed only. */
    private static List<Double> deviations(Map<Integer, Figure> folds, Figure all) {
        return Stream.concat(folds.values().stream(), Stream.of(all))
                .map(figure -> figure.deviation() == null ? 0 : figure.deviation()).toList();
    }
}

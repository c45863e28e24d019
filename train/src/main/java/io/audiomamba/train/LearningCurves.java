package io.audiomamba.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.ChartTheme;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Pictures of a training over its epochs: the loss, the measures on held-out clips where there are any, and the rate. */
final class LearningCurves {

    private static final int WIDTH = 900;
    private static final int HEIGHT = 300;

    private final List<EpochFigures> epochs;

    LearningCurves(List<EpochFigures> epochs) {
        this.epochs = epochs;
    }

    /**
     * All curves, one above the other, as {@link Picture#png} draws them.
     */
    Optional<byte[]> png() {
        return Picture.png(this::charts);
    }

    private List<XYChart> charts() {
        List<XYChart> charts = new ArrayList<>();
        charts.add(chart("loss", "training", EpochFigures::loss));
        if (epochs.stream().anyMatch(epoch -> epoch.accuracy() != null)) {
            XYChart measures = chart("held-out clips", "accuracy", EpochFigures::accuracy);
            add(measures, "mAP", EpochFigures::meanAveragePrecision);
            measures.getStyler().setYAxisMax(1.0);
            measures.getStyler().setLegendVisible(true);
            charts.add(measures);
        }
        XYChart rate = chart("learning rate", "learning rate", EpochFigures::learningRate);
        rate.getStyler().setYAxisDecimalPattern("0.0E0");
        charts.add(rate);
        return charts;
    }

    private XYChart chart(String title, String series, Function<EpochFigures, Double> value) {
        XYChart chart = new XYChartBuilder().width(WIDTH).height(HEIGHT).theme(ChartTheme.Matlab).title(title)
                .xAxisTitle("epoch").build();
        chart.getStyler().setLegendPosition(LegendPosition.InsideSE).setLegendVisible(false);
        chart.getStyler().setYAxisMin(0.0).setXAxisDecimalPattern("0").setXAxisMaxLabelCount(11);
        add(chart, series, value);
        return chart;
    }

    private void add(XYChart chart, String series, Function<EpochFigures, Double> value) {
        List<EpochFigures> known = epochs.stream().filter(epoch -> value.apply(epoch) != null).toList();
        chart.addSeries(series, known.stream().map(epoch -> (double) epoch.epoch()).toList(),
                known.stream().map(value).toList())
                .setMarker(known.size() < 30 ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE);
    }
}

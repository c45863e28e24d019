package io.audiomamba.benchmarks;

import java.awt.Color;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.ChartTheme;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.lines.SeriesLines;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * What {@link LengthRun} printed, as a table with fitted exponents, and as a picture with logarithmic axes:
 *
 * <pre>
 *   LengthPlot MEASUREMENTS PICTURE.png
 * </pre>
 *
 * MEASUREMENTS holds the lines of any number of runs, on one device or several.
 */
public final class LengthPlot {

    private static final Pattern LINE = Pattern
            .compile("(?<device>\\S+) (?<what>\\w+) (?<seconds>\\d+) s (?<tokens>\\d+) tokens"
                    + " (?<time>[\\d.]+) ms (?<memory>\\d+) MB");
    private static final Map<String, Color> COLORS = Map.of("model", new Color(0x1b6ca8), "scan", new Color(0x3a9a5b),
            "attention", new Color(0xc8553d));

    private record Point(double seconds, long tokens, double milliseconds, double megabytes) {}

    private LengthPlot() {}

    public static void main(String[] arguments) throws IOException {
        Map<String, List<Point>> series = read(Path.of(arguments[0]));
        series.forEach(LengthPlot::print);
        System.setProperty("java.awt.headless", "true");
        BitmapEncoder.saveBitmap(List.of(chart(series, "time (ms)", Point::milliseconds),
                chart(series, "peak memory (MB)", Point::megabytes)), 1, 2, arguments[1], BitmapFormat.PNG);
    }

    /** By device and what was measured, in the order of the file. */
    private static Map<String, List<Point>> read(Path file) throws IOException {
        Map<String, List<Point>> series = new LinkedHashMap<>();
        for (String line : Files.readAllLines(file)) {
            Matcher words = LINE.matcher(line);
            if (words.matches()) {
                series.computeIfAbsent(words.group("device") + " " + words.group("what"), _ -> new ArrayList<>())
                        .add(new Point(Double.parseDouble(words.group("seconds")),
                                Long.parseLong(words.group("tokens")), Double.parseDouble(words.group("time")),
                                Double.parseDouble(words.group("memory"))));
            }
        }
        return series;
    }

    private static void print(String name, List<Point> points) {
        System.out.println("| " + name + " | tokens | time | peak memory |\n| --- | --- | --- | --- |");
        for (Point point : points) {
            System.out.printf(Locale.ROOT, "| %,.0f s | %,d | %,.1f ms | %,.0f MB |%n", point.seconds(), point.tokens(),
                    point.milliseconds(), point.megabytes());
        }
        System.out.printf(Locale.ROOT, "| exponent | | %.2f | %.2f |%n%n", exponent(points, Point::milliseconds),
                exponent(points, Point::megabytes));
    }

    /** The power of the length that {@code value} grows with: the least-squares slope of the logarithms. */
    private static double exponent(List<Point> points, ToDoubleFunction<Point> value) {
        double[] x = points.stream().mapToDouble(point -> Math.log(point.seconds())).toArray();
        double[] y = points.stream().mapToDouble(value).map(Math::log).toArray();
        double sumX = 0;
        double sumY = 0;
        double sumXX = 0;
        double sumXY = 0;
        for (int i = 0; i < x.length; i++) {
            sumX += x[i];
            sumY += y[i];
            sumXX += x[i] * x[i];
            sumXY += x[i] * y[i];
        }
        return (x.length * sumXY - sumX * sumY) / (x.length * sumXX - sumX * sumX);
    }

    private static XYChart chart(Map<String, List<Point>> series, String axis, ToDoubleFunction<Point> value) {
        XYChart chart = new XYChartBuilder().width(560).height(480).theme(ChartTheme.Matlab)
                .xAxisTitle("length of the sound (s)").yAxisTitle(axis).build();
        chart.getStyler().setXAxisLogarithmic(true).setYAxisLogarithmic(true)
                .setLegendPosition(LegendPosition.InsideNW);
        String first = series.keySet().iterator().next().split(" ")[0];
        series.forEach((name, points) -> {
            Color color = COLORS.getOrDefault(name.split(" ")[1], Color.GRAY);
            chart.addSeries(name, points.stream().map(Point::seconds).toList(),
                    points.stream().map(value::applyAsDouble).toList()).setMarker(SeriesMarkers.CIRCLE)
                    .setMarkerColor(color).setLineColor(color)
                    .setLineStyle(name.startsWith(first + " ") ? SeriesLines.SOLID : SeriesLines.DASH_DASH);
        });
        return chart;
    }
}

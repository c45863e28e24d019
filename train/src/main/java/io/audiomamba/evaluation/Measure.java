package io.audiomamba.evaluation;

import java.util.function.ToDoubleFunction;

/** The measures that sum up {@link Metrics}, each in one figure that is better the larger it is. */
public enum Measure {
    /** The mean over classes of the average precision. */
    MEAN_AVERAGE_PRECISION("mAP", Metrics::meanAveragePrecision),
    /** The mean over classes of the area under the receiver operating characteristic. */
    MEAN_AREA_UNDER_CURVE("mAUC", Metrics::meanAreaUnderCurve),
    /** The sensitivity index of the mean area. */
    SENSITIVITY_INDEX("d'", Metrics::sensitivityIndex),
    /** Label-weighted label-ranking average precision. */
    LABEL_WEIGHTED_RANKING("lwlrap", Metrics::labelWeightedRanking),
    /** The share of clips whose highest score is right. */
    ACCURACY("accuracy", Metrics::accuracy);

    private final String symbol;
    private final ToDoubleFunction<Metrics> figure;

    Measure(String symbol, ToDoubleFunction<Metrics> figure) {
        this.symbol = symbol;
        this.figure = figure;
    }

    /** What the field calls it. */
    public String symbol() {
        return symbol;
    }

    /** The figure; NaN where there is nothing to measure. */
    public double of(Metrics metrics) {
        return figure.applyAsDouble(metrics);
    }
}

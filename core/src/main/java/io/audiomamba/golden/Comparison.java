package io.audiomamba.golden;

/**
 * A result beside its reference.
 *
 * @param quantity  what was compared
 * @param error     the largest difference over the largest reference value; infinite if the sizes differ or a value is
 *                  not a number
 * @param tolerance the largest error that passes
 */
public record Comparison(String quantity, double error, double tolerance) {

    static Comparison of(String quantity, double[] actual, double[] expected, double tolerance) {
        if (actual.length != expected.length) {
            return new Comparison(quantity + " (" + actual.length + " values instead of " + expected.length + ")",
                    Double.POSITIVE_INFINITY, tolerance);
        }
        double difference = 0;
        double largest = 0;
        for (int i = 0; i < actual.length; i++) {
            double d = Math.abs(actual[i] - expected[i]);
            difference = Double.isNaN(d) ? Double.POSITIVE_INFINITY : Math.max(difference, d);
            largest = Math.max(largest, Math.abs(expected[i]));
        }
        return new Comparison(quantity, largest == 0 ? difference : difference / largest, tolerance);
    }

    /** Whether the result is right. */
    public boolean passes() {
        return error <= tolerance;
    }
}

package io.audiomamba.golden;

/**
 * How far a result may be from its reference, relative to the largest value of the reference.
 *
 * <p>In float32: about ten times the distance between PyTorch's own float32 and float64.
 *
 * <p>In 16 bits what counts are the roundings of operands and results on the way: each moves a value by up to
 * {@linkplain Precision#rounding 2^-8 (bfloat16) or 2^-11 (float16)} of itself, they add up along the
 * path, and a step size counts more than once since it enters an exponential. So the tolerance is a number of such
 * roundings, the same for both types: two to four times as many as the worst case took on a CPU, in either type. This
 * finds what 16 bits break, such as an overflow, a sum that is not kept in float32 or an operand in the wrong type;
 * whether the formulas are right is what float32 shows.
 */
enum Tolerance {
    /** One pass of the scan: operands and result are rounded. */
    SCAN(5e-6, 4), SCAN_GRADIENT(1.5e-5, 8),
    /** A token mixer: linear layers, a convolution and a normalisation around the scan. */
    MIXER(2e-5, 8), MIXER_GRADIENT(1.3e-5, 16),
    /** A whole model, of some fifteen blocks that each add to the tokens. */
    MODEL(2e-5, 24), MODEL_GRADIENT(4e-5, 40);

    private final double single;
    private final double roundings;

    Tolerance(double single, double roundings) {
        this.single = single;
        this.roundings = roundings;
    }

    double in(Precision precision) {
        return precision == Precision.FP32 ? single : roundings * precision.rounding();
    }
}

package io.audiomamba.data;

import io.audiomamba.frontend.LogMel;

/**
 * A coarse picture of how a sound changes, which itself hardly changes with encoding, level and sample rate: a log-mel
 * spectrogram below 8 kHz in {@value #TIMES} x {@value #BANDS} fields, without the mean of each band.
 */
final class SoundOutline {

    private static final int TIMES = 64;
    private static final int BANDS = 13;
    private static final int BINS_A_BAND = 4;
    /** Decibels below the loudest field that no longer count: encoders change what cannot be heard. */
    private static final float RANGE = 60;
    /** The largest distance of two outlines of one sound, in dB. */
    private static final double LARGEST = 1;
    /** The same, as a share of how much the sound changes at all: any two steady noises are near each other in dB. */
    private static final double LARGEST_SHARE = 0.3;

    private final float[] fields = new float[TIMES * BANDS];
    private final double limit;

    /** @param logMel frames of {@value LogMel#BINS} bins in dB, one after the other */
    SoundOutline(float[] logMel) {
        int frames = logMel.length / LogMel.BINS;
        float loudest = Float.NEGATIVE_INFINITY;
        for (int t = 0; t < TIMES; t++) {
            int begin = (int) ((long) t * frames / TIMES);
            int end = Math.max(begin + 1, (int) ((t + 1L) * frames / TIMES));
            for (int band = 0; band < BANDS; band++) {
                float mean = mean(logMel, begin, end, band * BINS_A_BAND);
                fields[t * BANDS + band] = mean;
                loudest = Math.max(loudest, mean);
            }
        }
        double squares = 0;
        for (int band = 0; band < BANDS; band++) {
            squares += centre(band, loudest - RANGE);
        }
        limit = Math.min(LARGEST, LARGEST_SHARE * Math.sqrt(squares / fields.length));
    }

    private static float mean(float[] logMel, int begin, int end, int firstBin) {
        float sum = 0;
        for (int frame = begin; frame < end; frame++) {
            for (int bin = firstBin; bin < firstBin + BINS_A_BAND; bin++) {
                sum += logMel[frame * LogMel.BINS + bin];
            }
        }
        return sum / ((end - begin) * BINS_A_BAND);
    }

    /** Takes the mean of a band away; returns the sum of squares that is left. */
    private double centre(int band, float floor) {
        float mean = 0;
        for (int i = band; i < fields.length; i += BANDS) {
            fields[i] = Math.max(fields[i], floor);
            mean += fields[i] / TIMES;
        }
        double squares = 0;
        for (int i = band; i < fields.length; i += BANDS) {
            fields[i] -= mean;
            squares += fields[i] * fields[i];
        }
        return squares;
    }

    /** The root mean square distance in dB if it is so small that both are probably one sound, else infinity. */
    double distance(SoundOutline other) {
        double most = Math.pow(Math.min(limit, other.limit), 2) * fields.length;
        double squares = 0;
        for (int t = 0; t < TIMES; t++) {
            for (int i = t * BANDS; i < (t + 1) * BANDS; i++) {
                float difference = fields[i] - other.fields[i];
                squares += difference * difference;
            }
            if (squares > most) {
                return Double.POSITIVE_INFINITY; // most pairs end here after few fields
            }
        }
        return Math.sqrt(squares / fields.length);
    }
}

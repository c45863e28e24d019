package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import io.audiomamba.torch.Tensors;
import java.lang.foreign.MemorySegment;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Where the tasks of a backward pass put their gradients, each in a place of its own: those of the projections, which
 * all channels share, once for each block of channels; those of the parameters, which all images share, once for each
 * image.
 */
final class VectorGradients {

    final VectorOperands in;
    /** (B, L, D). */
    final MemorySegment tokens;
    /** For each block (B, L, 4, R + 2 N). */
    final float[][] projections;
    /** For each image (4, D, R), (4, D), (4 D, N), (4 D). */
    final float[][] dtWeight;
    final float[][] dtBias;
    final float[][] aLogs;
    final float[][] skip;

    private final Tensor tokensTensor;

    VectorGradients(VectorOperands in) {
        this.in = in;
        tokensTensor = Tensors.empty(ScalarType.Float, in.batch, in.height, in.width, in.channels);
        tokens = Tensors.memory(tokensTensor);
        int rows = Math.multiplyExact(in.batch * in.length, DIRECTIONS * in.row);
        projections = new float[VectorTile.blocks(in.channels)][rows];
        int scans = DIRECTIONS * in.channels;
        dtWeight = new float[in.batch][scans * in.rank];
        dtBias = new float[in.batch][scans];
        aLogs = new float[in.batch][scans * in.state];
        skip = new float[in.batch][scans];
    }

    /** Adds the parts up, always in the same order, and gives each gradient its operand's type. */
    ScanInputs merge(ScanInputs like) {
        long scans = (long) DIRECTIONS * in.channels;
        return new ScanInputs(tokensTensor.to(like.tokens().scalar_type()),
                sum(projections, in.batch, in.height, in.width, DIRECTIONS, in.row)
                        .to(like.projections().scalar_type()),
                sum(dtWeight, DIRECTIONS, in.channels, in.rank).to(like.dtWeight().scalar_type()),
                sum(dtBias, DIRECTIONS, in.channels).to(like.dtBias().scalar_type()),
                sum(aLogs, scans, in.state).to(like.aLogs().scalar_type()),
                sum(skip, scans).to(like.skip().scalar_type()));
    }

    private static Tensor sum(float[][] parts, long... shape) {
        for (int part = 1; part < parts.length; part++) {
            for (int i = 0; i < parts[0].length; i++) {
                parts[0][i] += parts[part][i];
            }
        }
        return Tensors.of(parts[0], shape);
    }
}

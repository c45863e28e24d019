package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;

import io.audiomamba.torch.Tensors;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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
    /** (blocks, B, L, 4, R + 2 N). */
    final MemorySegment projections;
    /** For each image (4, D, R), (4, D), (4 D, N), (4 D). */
    final float[][] dtWeight;
    final float[][] dtBias;
    final float[][] aLogs;
    final float[][] skip;

    private final Tensor tokensTensor;
    private final Tensor projectionsTensor;

    VectorGradients(VectorOperands in) {
        this.in = in;
        int blocks = VectorTile.blocks(in.channels);
        tokensTensor = Tensors.empty(ScalarType.Float, in.batch, in.height, in.width, in.channels);
        tokens = Tensors.memory(tokensTensor);
        projectionsTensor = Tensors.empty(ScalarType.Float, blocks, in.batch, in.height, in.width, DIRECTIONS,
                in.row);
        projections = Tensors.memory(projectionsTensor);
        int scans = DIRECTIONS * in.channels;
        dtWeight = new float[in.batch][scans * in.rank];
        dtBias = new float[in.batch][scans];
        aLogs = new float[in.batch][scans * in.state];
        skip = new float[in.batch][scans];
    }

    /** Adds the parts up, always in the same order, and gives each gradient its operand's type. */
    ScanInputs merge(ScanInputs like) {
        long scans = (long) DIRECTIONS * in.channels;
        addBlocks();
        return new ScanInputs(tokensTensor.to(like.tokens().scalar_type()),
                projectionsTensor.select(0, 0).to(like.projections().scalar_type()),
                sum(dtWeight, DIRECTIONS, in.channels, in.rank).to(like.dtWeight().scalar_type()),
                sum(dtBias, DIRECTIONS, in.channels).to(like.dtBias().scalar_type()),
                sum(aLogs, scans, in.state).to(like.aLogs().scalar_type()),
                sum(skip, scans).to(like.skip().scalar_type()));
    }

    private void addBlocks() {
        long size = projectionsTensor.select(0, 0).numel();
        for (int block = 1; block < VectorTile.blocks(in.channels); block++) {
            for (long i = 0; i < size; i++) {
                float sum = projections.getAtIndex(ValueLayout.JAVA_FLOAT, i)
                        + projections.getAtIndex(ValueLayout.JAVA_FLOAT, block * size + i);
                projections.setAtIndex(ValueLayout.JAVA_FLOAT, i, sum);
            }
        }
    }

    private static Tensor sum(float[][] images, long... shape) {
        for (int image = 1; image < images.length; image++) {
            for (int i = 0; i < images[0].length; i++) {
                images[0][i] += images[image][i];
            }
        }
        return Tensors.of(images[0], shape);
    }
}

package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** The forward pass of one task: y for a block of channels of one image. */
final class VectorForward {

    private final VectorOperands in;
    private final VectorTile tile;
    private final MemorySegment merged;
    private final MemorySegment kept;
    /** h, (N, channel). */
    private final float[] state;
    private final float[] y;

    /** @param kept where the states at the beginning of each tile go, or null */
    VectorForward(VectorOperands in, int task, MemorySegment merged, MemorySegment kept) {
        this.in = in;
        this.merged = merged;
        this.kept = kept;
        tile = new VectorTile(in, task);
        state = new float[in.state * tile.width];
        y = new float[VectorTile.TOKENS * tile.width];
    }

    void run() {
        for (int k = 0; k < DIRECTIONS; k++) {
            tile.startDirection(k);
            VectorTile.clear(state);
            for (int start = 0; start < in.length; start += VectorTile.TOKENS) {
                if (kept != null) {
                    keepStates(start);
                }
                tile.load(start);
                tile.finishStepSizes();
                scanTile();
                for (int t = 0; t < tile.tokens; t++) {
                    if (k == 0) {
                        tile.write(y, t, merged);
                    } else {
                        tile.add(y, t, merged);
                    }
                }
            }
        }
    }

    private void keepStates(int start) {
        for (int n = 0; n < in.state; n++) {
            VectorOperands.write(state, n * tile.width, kept, tile.stateIndex(start, n), tile.channels);
        }
    }

    private void scanTile() {
        for (int t = 0; t < tile.tokens; t++) {
            multiplyRow(tile.u, t * tile.width, tile.skip, y, tile.width);
        }
        for (int n = 0; n < in.state; n++) {
            tile.computeDecay(n);
            int b = in.rank + n;
            for (int c = 0; c < tile.width; c += LANES) {
                recur(tile.decay, tile.dtU, tile.rows, b, b + in.state, in.row, tile.tokens, tile.width, state,
                        n * tile.width, y, c);
            }
        }
    }

    private static void multiplyRow(float[] x, int at, float[] factor, float[] out, int width) {
        for (int c = 0; c < width; c += LANES) {
            FloatVector.fromArray(SPECIES, x, at + c).mul(FloatVector.fromArray(SPECIES, factor, c))
                    .intoArray(out, at + c);
        }
    }

    /** h = decay h + B dt u and y += C h for one state and one vector of channels along a tile. */
    private static void recur(float[] decay, float[] dtU, float[] rows, int b, int c, int row, int tokens, int width,
            float[] state, int stateAt, float[] y, int channel) {
        FloatVector h = FloatVector.fromArray(SPECIES, state, stateAt + channel);
        for (int t = 0; t < tokens; t++) {
            int i = t * width + channel;
            h = h.fma(FloatVector.fromArray(SPECIES, decay, i),
                    FloatVector.fromArray(SPECIES, dtU, i).mul(rows[t * row + b]));
            h.fma(FloatVector.broadcast(SPECIES, rows[t * row + c]), FloatVector.fromArray(SPECIES, y, i))
                    .intoArray(y, i);
        }
        h.intoArray(state, stateAt + channel);
    }
}

package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;
import static io.audiomamba.scan.VectorTile.STRIP;
import static io.audiomamba.scan.VectorTile.TOKENS;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/** The forward pass of one task: y for a block of channels of one image. */
final class VectorForward {

    private final VectorOperands in;
    private final VectorTile tile;
    private final MemorySegment kept;
    /** h, (N, channel of the block). */
    private final float[] state;
    private final float[] y = new float[TOKENS * STRIP];
    private final VectorTile.Step[] steps;

    /** @param kept where the states at the beginning of each tile go, or null */
    VectorForward(VectorOperands in, int task, MemorySegment merged, MemorySegment kept) {
        this.in = in;
        this.kept = kept;
        tile = new VectorTile(in, task);
        state = new float[in.state * tile.width];
        List<VectorTile.Step> all = new ArrayList<>(tile.loading());
        all.addAll(List.of(this::skip, this::scan, strip -> tile.write(y, strip, merged)));
        steps = all.toArray(VectorTile.Step[]::new);
    }

    void run() {
        for (int k = 0; k < DIRECTIONS; k++) {
            tile.startDirection(k);
            Arrays.fill(state, 0);
            for (int start = 0; start < in.length; start += TOKENS) {
                tile.startTile(start);
                if (kept != null) {
                    tile.keepStates(state, kept);
                }
                for (int strip = 0; strip < tile.width; strip += STRIP) {
                    for (VectorTile.Step step : steps) {
                        step.run(strip);
                    }
                }
            }
        }
    }

    /** y = D u. */
    private void skip(int strip) {
        for (int c = 0; c < STRIP; c += LANES) {
            skip(tile.u, tile.skip, strip + c, tile.tokens, y, c);
        }
    }

    private static void skip(float[] u, float[] skip, int channel, int tokens, float[] y, int at) {
        FloatVector d = FloatVector.fromArray(SPECIES, skip, channel);
        for (int i = at; i < tokens * STRIP; i += STRIP) {
            FloatVector.fromArray(SPECIES, u, i).mul(d).intoArray(y, i);
        }
    }

    /** y += C h, for all states. */
    private void scan(int strip) {
        for (int c = 0; c < STRIP; c += LANES) {
            for (int n = 0; n < in.state; n++) {
                recur(tile.dt, tile.rate, tile.dtU, tile.projected, (in.rank + n) * TOKENS,
                        (in.rank + in.state + n) * TOKENS, tile.tokens, state, n * tile.width + strip + c, y, c);
            }
        }
    }

    /**
     * h = exp(dt A) h + B dt u and y += C h for one state and one vector of channels along a tile. The exponentials, which
     * wait for nothing, are computed while the recurrence waits for itself.
     */
    private static void recur(float[] dt, float[] rate, float[] dtU, float[] projected, int b, int c, int tokens,
            float[] state, int stateAt, float[] y, int at) {
        FloatVector a = FloatVector.fromArray(SPECIES, rate, stateAt);
        FloatVector h = FloatVector.fromArray(SPECIES, state, stateAt);
        for (int t = 0; t < tokens; t++) {
            int i = t * STRIP + at;
            h = h.fma(VectorMath.exp2(FloatVector.fromArray(SPECIES, dt, i), a),
                    FloatVector.fromArray(SPECIES, dtU, i).mul(projected[b + t]));
            h.fma(FloatVector.broadcast(SPECIES, projected[c + t]), FloatVector.fromArray(SPECIES, y, i))
                    .intoArray(y, i);
        }
        h.intoArray(state, stateAt);
    }
}

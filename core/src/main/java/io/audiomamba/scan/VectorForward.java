package io.audiomamba.scan;

import static io.audiomamba.scan.ScanInputs.DIRECTIONS;
import static io.audiomamba.scan.VectorMath.LANES;
import static io.audiomamba.scan.VectorMath.SPECIES;
import static io.audiomamba.scan.VectorTile.DT;
import static io.audiomamba.scan.VectorTile.DT_U;
import static io.audiomamba.scan.VectorTile.STRIP;
import static io.audiomamba.scan.VectorTile.TOKENS;
import static io.audiomamba.scan.VectorTile.U;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/** The forward pass of one task: y for a block of channels of one image. */
final class VectorForward {

    /** The plane of y. */
    private static final int Y = VectorTile.OWN;

    private final VectorOperands in;
    private final VectorTile tile;
    private final MemorySegment kept;
    /** h, (N, channel of the block). */
    private final float[] state;
    private final VectorTile.Step[] steps;

    /** @param kept where the states at the beginning of each tile go, or null */
    VectorForward(VectorOperands in, int task, MemorySegment merged, MemorySegment kept) {
        this.in = in;
        this.kept = kept;
        tile = new VectorTile(in, task, VectorTile.PLANE);
        state = new float[in.state * tile.width];
        List<VectorTile.Step> all = new ArrayList<>(tile.loading());
        all.add(this::skip);
        for (int i = 0; i < in.state; i++) {
            int n = i;
            all.add(strip -> scan(n, strip));
        }
        all.add(strip -> tile.write(Y, strip, merged));
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
            skip(tile.scratch, tile.skip, strip + c, tile.tokens, c);
        }
    }

    private static void skip(float[] s, float[] skip, int channel, int tokens, int at) {
        FloatVector d = FloatVector.fromArray(SPECIES, skip, channel);
        for (int i = at; i < tokens * STRIP; i += STRIP) {
            FloatVector.fromArray(SPECIES, s, U + i).mul(d).intoArray(s, Y + i);
        }
    }

    /** y += C h, for state {@code n}. */
    private void scan(int n, int strip) {
        for (int c = 0; c < STRIP; c += LANES) {
            recur(tile.scratch, tile.rate, tile.projected, (in.rank + n) * TOKENS, (in.rank + in.state + n) * TOKENS,
                    tile.tokens, state, n * tile.width + strip + c, c);
        }
    }

    /**
     * h = exp(dt A) h + B dt u and y += C h for one state and one vector of channels along a tile. The exponentials, which
     * wait for nothing, are computed while the recurrence waits for itself.
     */
    private static void recur(float[] s, float[] rate, float[] projected, int b, int c, int tokens, float[] state,
            int stateAt, int at) {
        FloatVector a = FloatVector.fromArray(SPECIES, rate, stateAt);
        FloatVector h = FloatVector.fromArray(SPECIES, state, stateAt);
        for (int t = 0; t < tokens; t++) {
            int i = t * STRIP + at;
            h = h.fma(VectorMath.exp2(FloatVector.fromArray(SPECIES, s, DT + i), a),
                    FloatVector.fromArray(SPECIES, s, DT_U + i).mul(projected[b + t]));
            h.fma(FloatVector.broadcast(SPECIES, projected[c + t]), FloatVector.fromArray(SPECIES, s, Y + i))
                    .intoArray(s, Y + i);
        }
        h.intoArray(state, stateAt);
    }
}

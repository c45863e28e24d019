// The forward pass of the scan over patches.

#include "borders.cuh"

extern "C" __global__ void __launch_bounds__(BORDER_WARPS * WARP, BORDER_BLOCKS) forward_borders(Operands in, float* states,
        int run, int images) {
    borders<false>(in, in.tokens, states, run, images);
}

// What a warp needs of 8 channels in its two directions, on its way while it works on others.
struct alignas(16) Ahead {
    float states[2][LINES * 8]; // that enter lines, over ln 2
    OfChannel channels[2][8];

    // Begins to copy. A lane has 4 numbers of a line; `lines` is where those of channel 0 are, in the first direction.
    __device__ void fetch(const Operands& in, int axis, int channel, const float* lines) {
        int lane = threadIdx.x % WARP;
#pragma unroll
        for (int d = 0; d < 2; d++) {
            copyLater(states[d] + 4 * lane, lines + d * 2 * in.lines() * in.channels + channel);
            copyByWarp<sizeof(channels[d])>(channels[d], in.eightOf(axis + 2 * d, channel).channels);
        }
        commitCopies();
    }

    // A lane's part in one of the directions.
    __device__ void read(int d, Channels& own, float h[4]) const {
        readEntering(states[d], h);
        own.readFrom<false>(channels[d]);
    }
};

struct PatchShared {
    Table tables[DIRECTIONS];
    Slab tokens[2][EIGHTS]; // one in work, one on its way
    Sums y[EIGHTS];
    Ahead ahead[DIRECTIONS];
};
static_assert(sizeof(PatchShared) == SHARED_BYTES, "as PatchScan has it");

// y of a patch. Two warps go along rows, two along columns; each goes in both directions, so that what both add to y meets
// in registers. At any time each warp has 8 channels of its own.
extern "C" __global__ void __launch_bounds__(DIRECTIONS * WARP, INNER > 8 ? 3 : 4) forward_patches(Operands in,
        const float* states, value* y) {
    PatchShared& shared = *(PatchShared*)dynamic;
    int warp = threadIdx.x / WARP, axis = warp % 2, group = threadIdx.x % WARP / 4;
    Patch patch;
    int own = patch.own(in);
    Patch::fetch(in, in.tokens + own, shared.tokens[0]);
    Ahead& ahead = shared.ahead[warp];
    const float* lines = states + patch.states(in, axis, threadIdx.x % WARP / 2) + threadIdx.x % 2 * 4;
    auto eightOf = [&](int turn) { return (axis + turn) % 2 * 2 + warp / 2; };
    Table::Brought brought;
    brought.read(in, patch, warp);
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    if (block < gridDim.x * gridDim.y * gridDim.z / 16) { // may be here before the last blocks along borders are done
        in.awaitBorders(patch.image);
    } else {
        awaitPrevious();
    }
    ahead.fetch(in, axis, 8 * eightOf(0), lines);
    shared.tables[warp].fill(brought);
    waitForCopies();
    Walk walk(axis, group, PITCH);
    int lane = threadIdx.x % WARP; // has a row of the matrices that are two steps of tokens
    int row = Walk(axis, lane % 8, PITCH).start + lane / 8 % 2 * SECOND + lane / 16 * walk.step;
    float leading = inRegister(LEADING);
#pragma unroll 1
    for (int first = 0; first < in.channels; first += CHANNELS) {
        int buffer = first / CHANNELS % 2;
        bool more = first + CHANNELS < in.channels;
        __syncthreads();
        if (more) {
            Patch::fetch(in, in.tokens + own + first + CHANNELS, shared.tokens[1 - buffer]);
        }
#pragma unroll 1
        for (int turn = 0; turn < 2; turn++) {
            int eight = eightOf(turn);
            float h[2][4], sums[STEPS][4];
            unsigned u[STEPS / 2][4]; // of both lines in two steps
            Channels channels[2];
#pragma unroll
            for (int d = 0; d < 2; d++) {
                ahead.read(d, channels[d], h[d]);
            }
            __syncwarp();
            if (more || turn == 0) {
                ahead.fetch(in, axis, first + (turn ? CHANNELS : 0) + 8 * eightOf(turn + 1), lines);
            }
#pragma unroll
            for (int pair = 0; pair < STEPS / 2; pair++) {
                loadMatrices(u[pair], shared.tokens[buffer][eight][row + 2 * pair * walk.step].of);
            }
#pragma unroll
            for (int j = 0; j < STEPS; j++) {
                sums[j][0] = sums[j][1] = sums[j][2] = sums[j][3] = 0;
            }
            unsigned rowsOf[2][2][INNER / 4]; // of each direction, asked for while the other's are in work
            shared.tables[axis].rows.read(0, rowsOf[0]);
#pragma unroll
            for (int pair = 0; pair < STEPS / 2; pair++) {
#pragma unroll
                for (int d = 0; d < 2; d++) {
                    const Table& table = shared.tables[axis + 2 * d];
                    if (d == 0 || pair + 1 < STEPS / 2) {
                        shared.tables[axis + 2 * (1 - d)].rows.read(pair + d, rowsOf[1 - d]);
                    }
                    const auto& rows = rowsOf[d];
                    float4 matrices[2] = {table.matricesOf(group, pair), table.matricesOf(group + 8, pair)};
#pragma unroll
                    for (int i = 0; i < 2; i++) {
                        int step = 2 * pair + i, at = d ? STEPS - 1 - step : step;
                        float b[2] = {i ? matrices[0].z : matrices[0].x, i ? matrices[1].z : matrices[1].x};
                        float c[2] = {i ? matrices[0].w : matrices[0].y, i ? matrices[1].w : matrices[1].y};
                        float s[4];
                        project(rows[i], channels[d].weights, s);
#pragma unroll
                        for (int v = 0; v < 4; v++) {
                            unsigned both = u[at / 2][at % 2 * 2 + v / 2];
                            float x = v % 2 ? high(both) : low(both);
                            s[v] = softplus2(s[v], leading);
                            float a = v % 2 ? channels[d].a.y : channels[d].a.x;
                            h[d][v] = exp2Fast(a * s[v]) * h[d][v] + s[v] * x * b[v / 2];
                            sums[at][v] += h[d][v] * c[v / 2];
                        }
                    }
                }
            }
            float2* to = shared.y[eight].at(walk.start);
            auto sum = [&](int j, int l) { return to + 2 * (j * walk.step + l * SECOND); };
            if (turn) { // the other axis was here
#pragma unroll
                for (int i = 0; i < 2 * STEPS; i++) {
                    sums[i / 2][i % 2 * 2] += sum(i / 2, i % 2)->x;
                    sums[i / 2][i % 2 * 2 + 1] += sum(i / 2, i % 2)->y;
                }
            }
#pragma unroll
            for (int i = 0; i < 2 * STEPS; i++) {
                *sum(i / 2, i % 2) = make_float2(sums[i / 2][i % 2 * 2], sums[i / 2][i % 2 * 2 + 1]);
            }
            waitForCopies();
            if (turn == 0) {
                meet(1 + warp / 2, 2 * WARP); // the two that change places
            }
        }
        deliverTokens(in, shared.y, shared.tokens[buffer], in.skip + first, y + own + first);
    }
    awaitPrevious(); // for those behind, which rely on it
}

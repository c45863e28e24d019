// The gradient of the scan over patches, against time.

#include "borders.cuh"
#include "parameters.cuh"

extern "C" __global__ void __launch_bounds__(BORDER_WARPS * WARP, 2) backward_borders(Operands in, const value* gradY,
        float* adjoints, int run) {
    borders<true>(in, gradY, adjoints, run);
}

struct Gradients {
    value* tokens;      // (B, L, D)
    value* projections; // (B, L, 4, R + 2)
    float* parameters;  // (blocks, 4, PARAMETERS, D), zeros at first
};

struct PatchShared {
    Table tables[DIRECTIONS];
    Slab tokens[2][EIGHTS], gradY[2][EIGHTS]; // one in work, one on its way
    Sums gradTokens[EIGHTS];
#if R + 2 > 8
    float4 projected[STEPS][DIRECTIONS * WARP]; // the first 8 columns' sums of a lane; those behind are in registers
#endif
};
static_assert(PARAMETERS == R + 3, "as PatchScan has it");
static_assert(sizeof(PatchShared) == SHARED_BYTES, "as PatchScan has it");

struct EnteringBackward : Entering {
    float2 adjoints[2];
    value across[INNER / 8][2]; // weights: numbers `group` of channels 2 quad and 2 quad + 1
};

// Adds the gradient of the skip connection, by one warp for 8 channels: the diagonal of gradY^T u.
__device__ void addSkip(const Slab& gradY, const Slab& u, float* parameters, int to) {
    int lane = threadIdx.x % WARP, group = lane / 4, slot = lane % 16 / COLUMNS * PITCH + lane % COLUMNS;
    const Eight* from = (lane < 16 ? gradY : u) + slot;
    float sums[4] = {};
#pragma unroll
    for (int i = 0; i < ROWS / 2; i++) {
        unsigned both[4];
        loadTransposed(both, from[2 * i * PITCH].of);
        unsigned ofY[4] = {both[0], both[0], both[1], both[1]};
        multiplyAdd(sums, ofY, both[2], both[3]);
    }
    if (lane % 4 == group / 2) {
        atomicAdd(parameters + (to + group), group % 2 ? sums[1] : sums[0]);
    }
}

// Adds the other gradients of parameters of 8 channels in one direction. `to` is of the lane's two channels. A lane has
// numbers `group` and `group` + 8 of the rank; behind it the bias, which is what a 1 sums up; and A.
__device__ void addParameters(float gradA[2], const float gradWeights[2][4], float* parameters, int to, int channels) {
#pragma unroll
    for (int distance = 4; distance < WARP; distance *= 2) {
        gradA[0] += __shfl_xor_sync(~0u, gradA[0], distance);
        gradA[1] += __shfl_xor_sync(~0u, gradA[1], distance);
    }
#pragma unroll
    for (int tile = 0; tile < INNER / 8; tile++) {
        int number = threadIdx.x % WARP / 4 + 8 * tile;
        const float *even = gradWeights[0] + 2 * tile, *odd = gradWeights[1] + (INNER == 8 ? 2 : 2 * tile);
        bool isA = number == R + 1;
        float x = isA ? LN2 * gradA[0] : LOG2E * (even[0] + odd[0]);
        float y = isA ? LN2 * gradA[1] : LOG2E * (even[1] + odd[1]);
        if (number < ROW) {
            float* sum = parameters + (to + (isA ? A : number == R ? BIAS : WEIGHTS + number) * channels);
            atomicAdd(sum, x);
            atomicAdd(sum + 1, y);
        }
    }
}

// All gradients. A block goes from patch to patch; a warp goes in one direction. At any time the four warps have 8
// channels each, in turns. What they add to the gradients of parameters goes to memory of the block's own, where each
// number is added to by one thread: atomic only to wait for nothing, and always in the same order.
extern "C" __global__ void __launch_bounds__(DIRECTIONS * WARP, 2) backward_patches(Operands in, const value* gradY,
        const float* states, const float* adjoints, Gradients out, int patches) {
    PatchShared& shared = *(PatchShared*)dynamic;
    int k = threadIdx.x / WARP, lane = threadIdx.x % WARP, group = lane / 4, quad = lane % 4;
    Table& table = shared.tables[k];
    int ofBlock = blockIdx.x * DIRECTIONS * PARAMETERS * in.channels; // the gradients of parameters
    int ofWarp = ofBlock + k * PARAMETERS * in.channels;
    Walk walk(k, group);
    float leading = inRegister(LEADING);
    int second = Patch::secondStates(in, k);
    // Products with these matrices (8 channels, 8) add up what is of B, and of C, over channels.
    float ofB[2] = {inRegister(group == R % 8), inRegister(group == R % 8)};
    float ofC[2] = {inRegister(group == R % 8 + 1), inRegister(group == R % 8 + 1)};
    auto fetch = [&](const Patch& patch, int channel, int buffer) {
        patch.fetch(in, in.tokens, channel, shared.tokens[buffer]);
        patch.fetch(in, gradY, channel, shared.gradY[buffer]);
        commitCopies();
    };
    auto read = [&](long long line, int channel) {
        EnteringBackward e;
        e.read(in, k, channel, states + line + channel, second);
        e.adjoints[0] = readPair(adjoints + line + channel);
        e.adjoints[1] = readPair(adjoints + line + channel + second);
        int mine = (k * in.channels + channel + 2 * quad) * INNER + group;
        const unsigned short* row = (const unsigned short*)in.weights + mine;
#pragma unroll
        for (int tile = 0; tile < INNER / 8; tile++) {
            e.across[tile][0].bits = __ldg(row + 8 * tile);
            e.across[tile][1].bits = __ldg(row + 8 * tile + INNER);
        }
        return e;
    };
    int buffer = 0;
    Patch patch(in, blockIdx.x);
    fetch(patch, 0, buffer);
    long long line = patch.states(in, k, group) + 2 * quad;
    EnteringBackward entering = read(line, 8 * k);
#pragma unroll 1
    for (int index = blockIdx.x, next; index < patches; index = next) {
        patch = Patch(in, index);
        next = index + gridDim.x;
        float projected[STEPS][4] = {};
#if R + 2 > 8
        for (int j = 0; j < STEPS; j++) {
            shared.projected[j][threadIdx.x] = make_float4(0, 0, 0, 0);
        }
#endif
        table.fill(in, patch, k);
#pragma unroll 1
        for (int first = 0; first < in.channels; first += CHANNELS) {
            patch.begin(in, shared.gradY[buffer], first, shared.gradTokens);
            __syncthreads();
            bool more = first + CHANNELS < in.channels;
            if (more) {
                fetch(patch, first + CHANNELS, 1 - buffer);
            } else if (next < patches) {
                fetch(Patch(in, next), 0, 1 - buffer);
            }
            addSkip(shared.gradY[buffer][k], shared.tokens[buffer][k], out.parameters,
                    ofBlock + SKIP * in.channels + first + 8 * k);
#pragma unroll 1
            for (int turn = 0; turn < EIGHTS; turn++) {
                int eight = (turn + k) % EIGHTS, channel = first + 8 * eight;
                const EnteringBackward now = entering;
                float a[2] = {now.a.x, now.a.y};
                float e[4] = {now.adjoints[0].x, now.adjoints[0].y, now.adjoints[1].x, now.adjoints[1].y};
                float across[INNER / 8][2]; // weights without the bias
#pragma unroll
                for (int i = 0; i < INNER / 4; i++) {
                    across[i / 2][i % 2] = group + i / 2 * 8 < R ? toFloat(now.across[i / 2][i % 2]) : 0;
                }
                float s[STEPS][4], h[STEPS + 1][4]; // before and after each step
                now.begin(h[0]);
                const char* u = (const char*)((const unsigned*)(shared.tokens[buffer][eight] + walk.start) + quad);
                int stride = walk.step * (int)sizeof(Eight);
#pragma unroll
                for (int pair = 0; pair < STEPS / 2; pair++) {
                    unsigned rows[2][INNER / 4];
                    table.read(pair, rows);
#pragma unroll
                    for (int i = 0; i < 2; i++) {
                        int j = 2 * pair + i;
                        unsigned us[2] = {*(const unsigned*)u, *(const unsigned*)(u + SECOND * sizeof(Eight))};
                        u += stride;
                        float b[2] = {table.matricesOf(group, j).x, table.matricesOf(group + 8, j).x};
                        project(rows[i], now.weights, s[j]);
#pragma unroll
                        for (int v = 0; v < 4; v++) {
                            float x = v % 2 ? high(us[v / 2]) : low(us[v / 2]);
                            s[j][v] = softplus2(s[j][v], leading);
                            h[j + 1][v] = exp2Fast(a[v % 2] * s[j][v]) * h[j][v] + s[j][v] * x * b[v / 2];
                        }
                    }
                }
                u -= stride;
                int toGradY = (const char*)shared.gradY - (const char*)shared.tokens;
                char* sum = (char*)(shared.gradTokens[eight] + 8 * (walk.start + (STEPS - 1) * walk.step) + 2 * quad);
                float gradA[2] = {}, gradWeights[2][4] = {};
                float ofDecay[2] = {inRegister(LN2 * a[0]), inRegister(LN2 * a[1])};
#pragma unroll
                for (int pair = STEPS / 2 - 1; pair >= 0; pair--) {
                    if (pair == 0) { // the next 8 channels' are on their way while these end, now that registers are free
                        bool turns = turn + 1 < EIGHTS;
                        if (!turns && !more) {
                            line = Patch(in, min(next, patches - 1)).states(in, k, group) + 2 * quad;
                        }
                        int from = turns ? first : more ? first + CHANNELS : 0;
                        entering = read(line, from + (turn + 1 + k) % EIGHTS * 8);
                    }
                    unsigned transposedRows[4];
#pragma unroll
                    for (int i = 1; i >= 0; i--) {
                        int j = 2 * pair + i;
                        const char* g = u + toGradY;
                        unsigned us[2] = {*(const unsigned*)u, *(const unsigned*)(u + SECOND * sizeof(Eight))};
                        unsigned gs[2] = {*(const unsigned*)g, *(const unsigned*)(g + SECOND * sizeof(Eight))};
                        u -= stride;
                        float2 matrices[2] = {table.matricesOf(group, j), table.matricesOf(group + 8, j)};
                        float2 sums[2] = {*(float2*)sum, *(float2*)(sum + SECOND * 8 * sizeof(float))};
                        float fed[4] = {sums[0].x, sums[0].y, sums[1].x, sums[1].y}, gradB[4], gradC[4], gradX[4];
#pragma unroll
                        for (int v = 0; v < 4; v++) {
                            float x = v % 2 ? high(us[v / 2]) : low(us[v / 2]);
                            float y = v % 2 ? high(gs[v / 2]) : low(gs[v / 2]);
                            float b = matrices[v / 2].x, su = s[j][v] * x;
                            gradC[v] = y * h[j + 1][v];
                            e[v] += y * matrices[v / 2].y; // now dL/dh
                            gradB[v] = su * e[v];
                            float eb = e[v] * b;
                            e[v] *= exp2Fast(a[v % 2] * s[j][v]);
                            float el = e[v] * h[j][v];
                            fed[v] += eb * s[j][v];
                            gradA[v % 2] += s[j][v] * el;
                            gradX[v] = (eb * x + ofDecay[v % 2] * el) * logisticOf(s[j][v]);
                        }
                        *(float2*)sum = make_float2(fed[0], fed[1]);
                        *(float2*)(sum + SECOND * 8 * sizeof(float)) = make_float2(fed[2], fed[3]);
                        sum -= 2 * stride;
                        multiplyAdd(projected[j], gradB[0], gradB[2], gradB[1], gradB[3], ofB[0], ofB[1]);
                        multiplyAdd(projected[j], gradC[0], gradC[2], gradC[1], gradC[3], ofC[0], ofC[1]);
                        multiplyAdd(projected[j], gradX[0], gradX[2], gradX[1], gradX[3], across[INNER / 8 - 1][0],
                                across[INNER / 8 - 1][1]);
#if R + 2 > 8
                        float4& held = shared.projected[j][threadIdx.x];
                        float firstColumns[4] = {held.x, held.y, held.z, held.w};
                        multiplyAdd(firstColumns, gradX[0], gradX[2], gradX[1], gradX[3], across[0][0], across[0][1]);
                        held = make_float4(firstColumns[0], firstColumns[1], firstColumns[2], firstColumns[3]);
#endif
                        if (INNER > 8 || i == 1) {
                            table.readTransposed(pair, i, transposedRows);
                        }
                        multiplyAdd(gradWeights[i], transposedRows, transposed(packed(gradX[0], gradX[1])),
                                transposed(packed(gradX[2], gradX[3])));
                    }
                }
                addParameters(gradA, gradWeights, out.parameters, ofWarp + channel + 2 * quad, in.channels);
                __syncthreads();
            }
            patch.deliver(in, shared.gradTokens, first, out.tokens);
            buffer = 1 - buffer;
        }
#pragma unroll
        for (int j = 0; j < STEPS; j++) {
#pragma unroll
            for (int l = 0; l < 2; l++) {
                long long row = patch.token(in, k, group + 8 * l, j) * DIRECTIONS + k;
                unsigned* to = (unsigned*)(out.projections + row * ROW);
                int pair = quad + (INNER - 8) / 2;
                if (pair < ROW / 2) {
                    float first = projected[j][2 * l] * (pair == R / 2 ? LN2 : 1);
                    to[pair] = packed(first, projected[j][2 * l + 1]);
                }
#if R + 2 > 8
                float4 held = shared.projected[j][threadIdx.x];
                to[quad] = l ? packed(held.z, held.w) : packed(held.x, held.y);
#endif
            }
        }
    }
    for (int k = 1; k < DIRECTIONS; k++) { // the skip connection's gradient is the same in all directions
        for (int i = threadIdx.x; i < in.channels; i += blockDim.x) {
            float* sums = out.parameters + ofBlock;
            sums[(k * PARAMETERS + SKIP) * in.channels + i] = sums[SKIP * in.channels + i];
        }
    }
}

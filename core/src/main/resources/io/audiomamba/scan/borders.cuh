// States, over ln 2, that enter each line of tokens, in all four directions; or, against time, adjoints. A block has
// BORDER_CHANNELS channels and at most BORDER_WARPS warps; a thread goes along two runs of `run` lines, line after line.

#include "patch.cuh"

// The lines of an axis one after the other, from the first or from the last.
struct Position {
    int major, minor; // row and column, along columns the other way round

    __device__ Position(int line, int perMajor, bool back)
        : major(line / perMajor), minor(line % perMajor * STEPS + (back ? STEPS - 1 : 0)) {}

    // Stays inside at the end.
    __device__ void next(int perMajor, int majors, bool back) {
        minor += back ? -STEPS : STEPS;
        if (back ? minor < 0 : minor >= perMajor * STEPS) {
            minor = back ? perMajor * STEPS - 1 : 0;
            major = max(0, min(major + (back ? -1 : 1), majors - 1));
        }
    }
};

// A block goes along all lines of an image in one direction. A thread has, on the way, two lines, of neighbouring runs, and
// its own channels, of which pair t is the columns that it has of product t. Of its numbers, number 4 t + 2 line + i is of its
// channel 2 t + i.
constexpr int OWN = BORDER_CHANNELS / 4, TILES = BORDER_CHANNELS / 8, NUMBERS = 4 * TILES;
static_assert(BORDER_WARPS <= 8, "a group of lanes for each");
constexpr int BORDER_BLOCKS = 16 / BORDER_WARPS; // of a multiprocessor: 16 warps of 128 registers
// Steps whose operands are on their way together: as many as the registers hold.
constexpr int TOGETHER = TILES == 2 ? STEPS : STEPS / 4;

// A token's values in a lane's own channels.
struct Own {
    unsigned pairs[TILES];

    __device__ void read(const value* from) {
        if (TILES == 2) {
            uint2 all = __ldg((const uint2*)from);
            pairs[0] = all.x, pairs[1] = all.y;
        } else {
            uint4 all = __ldg((const uint4*)from);
            pairs[0] = all.x, pairs[1] = all.y, pairs[TILES - 2] = all.z, pairs[TILES - 1] = all.w;
        }
    }
};

__device__ float4 four(const float* x) { return make_float4(x[0], x[1], x[2], x[3]); }
__device__ float number(float4 x, int i) { return i == 0 ? x.x : i == 1 ? x.y : i == 2 ? x.z : x.w; }

// By which factor, and with what added, something gets through all groups of lanes up to the lane's own.
__device__ void throughGroups(float factor[OWN], float added[OWN]) {
#pragma unroll
    for (int c = 0; c < OWN; c++) {
#pragma unroll
        for (int distance = 1; distance < 8; distance *= 2) {
            float factorBefore = __shfl_up_sync(~0u, factor[c], 4 * distance);
            float addedBefore = __shfl_up_sync(~0u, added[c], 4 * distance);
            if (threadIdx.x % WARP / 4 >= distance) {
                added[c] += factor[c] * addedBefore;
                factor[c] *= factorBefore;
            }
        }
    }
}

template <bool ADJOINT>
__device__ void borders(const Operands& in, const value* from, float* states, int run) {
    float4* onTheWay = (float4*)dynamic + threadIdx.x; // (run, 2 TILES, threads)
    __shared__ float4 throughWarps[BORDER_WARPS][2][BORDER_CHANNELS / 4]; // factors, what is added, by all lines of a warp
    int warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    int group = threadIdx.x % WARP / 4, quad = threadIdx.x % 4;
    int k = blockIdx.y, channel = blockIdx.x * BORDER_CHANNELS + OWN * quad;
    bool columns = k % 2, back = (k >= 2) != ADJOINT;
    int majors = columns ? in.width : in.height, perMajor = (columns ? in.height : in.width) / STEPS;
    int stride = (columns ? in.width : 1) * (back ? -1 : 1); // from a token to the next
    int tokenStride = stride * in.channels, rowStride = stride * DIRECTIONS * ROW;
    from += (long long)blockIdx.z * in.length() * in.channels + channel;
    const value* rows = in.projections + ((long long)blockIdx.z * in.length() * DIRECTIONS + k) * ROW;
    states += (long long)(blockIdx.z * DIRECTIONS + k) * in.lines() * in.channels + channel;
    unsigned weights[TILES][INNER / 8];
    float a[OWN];
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
        readWeights(in, k, blockIdx.x * BORDER_CHANNELS + OWN * (group / 2) + 2 * tile + group % 2, weights[tile]);
        float2 twoA = __ldg((const float2*)(in.a + k * in.channels + channel) + tile);
        a[2 * tile] = twoA.x;
        a[2 * tile + 1] = twoA.y;
    }
    // The product of a line's projections with this matrix has B, or C, in all columns.
    unsigned ofMatrices = quad == MATRICES_QUAD ? ONES & (ADJOINT ? 0xffff0000u : 0xffffu) : 0;
    float leading = inRegister(LEADING), entering[OWN] = {};
    for (int first = 0; first < in.lines(); first += warps * LINES * run) {
        int line = first + (warp * LINES + 2 * group) * run;
        auto place = [&](int second) {
            int at = min(line + second * run, in.lines() - 1);
            return Position(back ? in.lines() - 1 - at : at, perMajor, back);
        };
        Position positions[2] = {place(0), place(1)};
        float factor[NUMBERS], state[NUMBERS] = {};
#pragma unroll
        for (int e = 0; e < NUMBERS; e++) {
            factor[e] = 1;
        }
#pragma unroll 1
        for (int i = 0; i < run; i++) {
            const value *x[2], *r[2];
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                onTheWay[(2 * TILES * i + tile) * blockDim.x] = four(factor + 4 * tile);
                onTheWay[(2 * TILES * i + TILES + tile) * blockDim.x] = four(state + 4 * tile);
            }
#pragma unroll
            for (int l = 0; l < 2; l++) {
                Position& p = positions[l];
                int token = columns ? p.minor * in.width + p.major : p.major * in.width + p.minor;
                x[l] = from + (long long)token * in.channels;
                r[l] = rows + (long long)token * (DIRECTIONS * ROW);
                p.next(perMajor, majors, back);
            }
#pragma unroll
            for (int begin = 0; begin < STEPS; begin += TOGETHER) {
                Own values[TOGETHER][2];
                unsigned row[TOGETHER][INNER / 4];
#pragma unroll
                for (int l = 0; l < 2; l++) {
#pragma unroll
                    for (int j = 0; j < TOGETHER; j++) {
                        values[j][l].read(x[l] + (begin + j) * tokenStride);
#pragma unroll
                        for (int tile = 0; tile < INNER / 8; tile++) {
                            int pair = 4 * tile + quad;
                            bool there = 4 * tile + 3 < ROW / 2 || pair < ROW / 2; // known but for the last tile
                            row[j][2 * tile + l] =
                                    there ? __ldg((const unsigned*)(r[l] + (begin + j) * rowStride) + pair) : 0;
                        }
                    }
                }
#pragma unroll
                for (int j = 0; j < TOGETHER; j++) {
                    unsigned* rowsMatrices = row[j] + 2 * MATRICES_TILE;
                    float fed[4] = {}; // B, or C, of each line, twice
                    multiplyAdd(fed, rowsMatrices[0], rowsMatrices[1], ofMatrices);
#pragma unroll
                    for (int l = 0; l < 2; l++) {
                        rowsMatrices[l] = quad == MATRICES_QUAD ? ONES : rowsMatrices[l];
                    }
#pragma unroll
                    for (int tile = 0; tile < TILES; tile++) {
                        float s[4];
                        project(row[j], weights[tile], s);
#pragma unroll
                        for (int v = 0; v < 4; v++) {
                            int e = 4 * tile + v;
                            unsigned pair = values[j][v / 2].pairs[tile];
                            float u = v % 2 ? high(pair) : low(pair);
                            s[v] = softplus2(s[v], leading);
                            float decay = exp2Fast(a[2 * tile + v % 2] * s[v]);
                            state[e] = ADJOINT ? decay * (state[e] + u * fed[v]) : decay * state[e] + s[v] * u * fed[v];
                            factor[e] *= decay;
                        }
                    }
                }
            }
        }
        // From the warp's beginning to the beginning of each run: through a lane's two, then over lanes.
        float through[OWN], added[OWN];
#pragma unroll
        for (int c = 0; c < OWN; c++) {
            int e = c / 2 * 4 + c % 2;
            through[c] = factor[e] * factor[e + 2];
            added[c] = factor[e + 2] * state[e] + state[e + 2];
        }
        throughGroups(through, added);
        __syncthreads(); // all have read what warps left before
#pragma unroll
        for (int c = 0; c < OWN; c++) {
            int e = c / 2 * 4 + c % 2;
            if (group == 7 && c % 4 == 0) {
                throughWarps[warp][0][(OWN * quad + c) / 4] = four(through + c);
                throughWarps[warp][1][(OWN * quad + c) / 4] = four(added + c);
            }
            float before = __shfl_up_sync(~0u, through[c], 4), addedBefore = __shfl_up_sync(~0u, added[c], 4);
            before = group ? before : 1;
            addedBefore = group ? addedBefore : 0;
            state[e + 2] = factor[e] * addedBefore + state[e];
            factor[e + 2] = factor[e] * before;
            state[e] = addedBefore;
            factor[e] = before;
        }
        __syncthreads();
        // And over warps, of which each group of lanes takes one; those which are not there change nothing.
#pragma unroll
        for (int c = 0; c < OWN; c++) {
            const float4(*ofWarp)[BORDER_CHANNELS / 4] = throughWarps[group % BORDER_WARPS];
            int at = (OWN * quad + c) / 4;
            through[c] = group < warps ? number(ofWarp[0][at], c % 4) : 1;
            added[c] = group < warps ? number(ofWarp[1][at], c % 4) : 0;
        }
        throughGroups(through, added);
#pragma unroll
        for (int c = 0; c < OWN; c++) {
            int e = c / 2 * 4 + c % 2;
            float after = through[c] * entering[c] + added[c];
            float before = __shfl_sync(~0u, after, 4 * (warp + 7) % WARP + quad);
            before = warp ? before : entering[c];
            state[e] += factor[e] * before;
            state[e + 2] += factor[e + 2] * before;
            entering[c] = __shfl_sync(~0u, after, 4 * 7 + quad);
        }
#pragma unroll 1
        for (int i = 0; i < run; i++) {
            float4 x[TILES];
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                float4 f = onTheWay[(2 * TILES * i + tile) * blockDim.x];
                float4 y = onTheWay[(2 * TILES * i + TILES + tile) * blockDim.x];
                const float* entered = state + 4 * tile;
                x[tile] = make_float4(y.x + f.x * entered[0], y.y + f.y * entered[1], y.z + f.z * entered[2],
                        y.w + f.w * entered[3]);
            }
#pragma unroll
            for (int l = 0; l < 2; l++) {
                int at = line + l * run + i;
                if (at < in.lines()) {
                    float4* to = (float4*)(states + (long long)(back ? in.lines() - 1 - at : at) * in.channels);
#pragma unroll
                    for (int i = 0; i < TILES / 2; i++) {
                        float4 even = x[2 * i], odd = x[2 * i + 1];
                        to[i] = l ? make_float4(even.z, even.w, odd.z, odd.w) : make_float4(even.x, even.y, odd.x, odd.y);
                    }
                }
            }
        }
    }
}

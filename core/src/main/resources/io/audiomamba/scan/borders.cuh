// States, over ln 2, that enter each line of tokens, in all four directions; or, against time, adjoints. A block has
// BORDER_CHANNELS channels and at most BORDER_WARPS warps; a thread goes along `run` lines, one after the other.

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

// A block goes along all lines of an image in one direction, with 16 channels. A thread has, on the way, two lines, of
// neighbouring runs, and four channels, 4 quad and three more. Of a thread's eight numbers, number 4 tile + 2 line + i is of
// channel 2 tile + i.
static_assert(BORDER_CHANNELS == 2 * 8, "two products of tensor cores");
static_assert(BORDER_WARPS == 8, "as many as groups of lanes");

// By which factor, and with what added, something gets through all groups of lanes up to the lane's own.
__device__ void throughGroups(float factor[4], float added[4]) {
#pragma unroll
    for (int c = 0; c < 4; c++) {
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
    float4* onTheWay = (float4*)dynamic + threadIdx.x; // (run, 4, threads)
    __shared__ float4 throughWarps[BORDER_WARPS][4][2]; // factors and what is added, by all lines of a warp
    int warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    int group = threadIdx.x % WARP / 4, quad = threadIdx.x % 4;
    int k = blockIdx.y, channel = blockIdx.x * BORDER_CHANNELS + 4 * quad;
    bool columns = k % 2, back = (k >= 2) != ADJOINT;
    int majors = columns ? in.width : in.height, perMajor = (columns ? in.height : in.width) / STEPS;
    int stride = (columns ? in.width : 1) * (back ? -1 : 1); // from a token to the next
    int tokenStride = stride * in.channels, rowStride = stride * DIRECTIONS * ROW;
    from += (long long)blockIdx.z * in.length() * in.channels + channel;
    const value* rows = in.projections + ((long long)blockIdx.z * in.length() * DIRECTIONS + k) * ROW;
    states += (long long)(blockIdx.z * DIRECTIONS + k) * in.lines() * in.channels + channel;
    unsigned weights[2][INNER / 8];
    readWeights(in, k, blockIdx.x * BORDER_CHANNELS + 4 * (group / 2) + group % 2, weights[0]);
    readWeights(in, k, blockIdx.x * BORDER_CHANNELS + 4 * (group / 2) + group % 2 + 2, weights[1]);
    float4 fourA = __ldg((const float4*)(in.a + k * in.channels + channel));
    float a[4] = {fourA.x, fourA.y, fourA.z, fourA.w};
    // The product of a line's projections with this matrix has B, or C, in all columns.
    unsigned ofMatrices = quad == MATRICES_QUAD ? ONES & (ADJOINT ? 0xffff0000u : 0xffffu) : 0;
    float leading = inRegister(LEADING), entering[4] = {};
    for (int first = 0; first < in.lines(); first += warps * LINES * run) {
        int line = first + (warp * LINES + 2 * group) * run;
        auto place = [&](int second) {
            int at = min(line + second * run, in.lines() - 1);
            return Position(back ? in.lines() - 1 - at : at, perMajor, back);
        };
        Position positions[2] = {place(0), place(1)};
        float factor[8], state[8] = {};
#pragma unroll
        for (int e = 0; e < 8; e++) {
            factor[e] = 1;
        }
#pragma unroll 1
        for (int i = 0; i < run; i++) {
#pragma unroll
            for (int tile = 0; tile < 2; tile++) {
                const float *f = factor + 4 * tile, *x = state + 4 * tile;
                onTheWay[(4 * i + tile) * blockDim.x] = make_float4(f[0], f[1], f[2], f[3]);
                onTheWay[(4 * i + 2 + tile) * blockDim.x] = make_float4(x[0], x[1], x[2], x[3]);
            }
            uint2 values[STEPS][2];
            unsigned row[STEPS][INNER / 4];
#pragma unroll
            for (int l = 0; l < 2; l++) {
                Position& p = positions[l];
                int token = columns ? p.minor * in.width + p.major : p.major * in.width + p.minor;
                const value* x = from + (long long)token * in.channels;
                const value* r = rows + (long long)token * (DIRECTIONS * ROW);
#pragma unroll
                for (int j = 0; j < STEPS; j++) {
                    values[j][l] = __ldg((const uint2*)(x + j * tokenStride));
#pragma unroll
                    for (int tile = 0; tile < INNER / 8; tile++) {
                        int pair = 4 * tile + quad;
                        bool there = 4 * tile + 3 < ROW / 2 || pair < ROW / 2; // known when compiled but for the last tile
                        row[j][2 * tile + l] = there ? __ldg((const unsigned*)(r + j * rowStride) + pair) : 0;
                    }
                }
                p.next(perMajor, majors, back);
            }
#pragma unroll
            for (int j = 0; j < STEPS; j++) {
                unsigned* rowsMatrices = row[j] + 2 * MATRICES_TILE;
                float fed[4] = {}; // B, or C, of each line, twice
                multiplyAdd(fed, rowsMatrices[0], rowsMatrices[1], ofMatrices);
#pragma unroll
                for (int l = 0; l < 2; l++) {
                    rowsMatrices[l] = quad == MATRICES_QUAD ? ONES : rowsMatrices[l];
                }
#pragma unroll
                for (int tile = 0; tile < 2; tile++) {
                    float s[4];
                    project(row[j], weights[tile], s);
#pragma unroll
                    for (int v = 0; v < 4; v++) {
                        int e = 4 * tile + v;
                        unsigned pair = tile ? values[j][v / 2].y : values[j][v / 2].x;
                        float x = v % 2 ? high(pair) : low(pair);
                        s[v] = softplus2(s[v], leading);
                        float decay = exp2Fast(a[2 * tile + v % 2] * s[v]);
                        state[e] = ADJOINT ? decay * (state[e] + x * fed[v])
                                           : decay * state[e] + s[v] * x * fed[v];
                        factor[e] *= decay;
                    }
                }
            }
        }
        // From the warp's beginning to the beginning of each run: through a lane's two, then over lanes.
        float through[4], added[4];
#pragma unroll
        for (int c = 0; c < 4; c++) {
            int e = c / 2 * 4 + c % 2;
            through[c] = factor[e] * factor[e + 2];
            added[c] = factor[e + 2] * state[e] + state[e + 2];
        }
        throughGroups(through, added);
        __syncthreads(); // all have read what warps left before
        if (group == 7) {
            throughWarps[warp][quad][0] = make_float4(through[0], through[1], through[2], through[3]);
            throughWarps[warp][quad][1] = make_float4(added[0], added[1], added[2], added[3]);
        }
#pragma unroll
        for (int c = 0; c < 4; c++) {
            int e = c / 2 * 4 + c % 2;
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
        bool there = group < warps;
        float4 f = throughWarps[group][quad][0], x = throughWarps[group][quad][1];
        through[0] = there ? f.x : 1, through[1] = there ? f.y : 1, through[2] = there ? f.z : 1, through[3] = there ? f.w : 1;
        added[0] = there ? x.x : 0, added[1] = there ? x.y : 0, added[2] = there ? x.z : 0, added[3] = there ? x.w : 0;
        throughGroups(through, added);
#pragma unroll
        for (int c = 0; c < 4; c++) {
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
            float4 x[2];
#pragma unroll
            for (int tile = 0; tile < 2; tile++) {
                float4 f = onTheWay[(4 * i + tile) * blockDim.x], y = onTheWay[(4 * i + 2 + tile) * blockDim.x];
                x[tile] = make_float4(y.x + f.x * state[4 * tile], y.y + f.y * state[4 * tile + 1],
                        y.z + f.z * state[4 * tile + 2], y.w + f.w * state[4 * tile + 3]);
            }
#pragma unroll
            for (int l = 0; l < 2; l++) {
                int at = line + l * run + i;
                if (at < in.lines()) {
                    *(float4*)(states + (long long)(back ? in.lines() - 1 - at : at) * in.channels) =
                            l ? make_float4(x[0].z, x[0].w, x[1].z, x[1].w) : make_float4(x[0].x, x[0].y, x[1].x, x[1].y);
                }
            }
        }
    }
}

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

// A block goes along all lines of an image in one direction, with 16 channels. A thread has, on the way, two lines (group
// and group + 8 of the 16 of its warp) and four channels, 4 quad and three more. Of a thread's eight numbers, number
// 4 tile + 2 line + i is of channel 2 tile + i.
static_assert(BORDER_CHANNELS == 2 * 8, "two products of tensor cores");
template <bool ADJOINT>
__device__ void borders(const Operands& in, const value* from, float* states, int run) {
    float4* onTheWay = (float4*)dynamic + threadIdx.x; // (run, 4, threads)
    __shared__ float2 throughWarps[BORDER_WARPS][BORDER_CHANNELS]; // factor and what is added, by all lines of a warp
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
    float leading = inRegister(LEADING), entering[4] = {};
    for (int first = 0; first < in.lines(); first += warps * LINES * run) {
        int line = first + (warp * LINES + group) * run;
        auto place = [&](int second) {
            int at = min(line + second * 8 * run, in.lines() - 1);
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
                float fed[2]; // B or C
#pragma unroll
                for (int l = 0; l < 2; l++) {
                    unsigned& mine = row[j][2 * MATRICES_TILE + l];
                    unsigned matrices = __shfl_sync(~0u, mine, MATRICES_QUAD, 4);
                    fed[l] = ADJOINT ? high(matrices) : low(matrices);
                    mine = quad == MATRICES_QUAD ? ONES : mine;
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
                        state[e] = ADJOINT ? decay * (state[e] + x * fed[v / 2])
                                           : decay * state[e] + s[v] * x * fed[v / 2];
                        factor[e] *= decay;
                    }
                }
            }
        }
        // From the warp's beginning to the beginning of each run: over lanes, then from the first 8 runs to the last.
#pragma unroll
        for (int distance = 1; distance < 8; distance *= 2) {
#pragma unroll
            for (int e = 0; e < 8; e++) {
                float before = __shfl_up_sync(~0u, factor[e], 4 * distance);
                float stateBefore = __shfl_up_sync(~0u, state[e], 4 * distance);
                if (group >= distance) {
                    state[e] += factor[e] * stateBefore;
                    factor[e] *= before;
                }
            }
        }
        __syncthreads(); // all have read what warps left before
#pragma unroll
        for (int c = 0; c < 4; c++) {
            int e = c / 2 * 4 + c % 2;
            float firstFactor = __shfl_sync(~0u, factor[e], 7 * 4 + quad);
            float firstState = __shfl_sync(~0u, state[e], 7 * 4 + quad);
            state[e + 2] += factor[e + 2] * firstState;
            factor[e + 2] *= firstFactor;
            if (group == 7) {
                throughWarps[warp][4 * quad + c] = make_float2(factor[e + 2], state[e + 2]);
            }
#pragma unroll
            for (int l = 0; l < 2; l++) {
                float before = __shfl_up_sync(~0u, factor[e + 2 * l], 4);
                float stateBefore = __shfl_up_sync(~0u, state[e + 2 * l], 4);
                factor[e + 2 * l] = group ? before : l ? firstFactor : 1;
                state[e + 2 * l] = group ? stateBefore : l ? firstState : 0;
            }
        }
        __syncthreads();
#pragma unroll
        for (int c = 0; c < 4; c++) {
            float x = entering[c];
            for (int w = 0; w < warps; w++) {
                if (w == warp) {
                    int e = c / 2 * 4 + c % 2;
                    state[e] += factor[e] * x;
                    state[e + 2] += factor[e + 2] * x;
                }
                float2 through = throughWarps[w][4 * quad + c];
                x = through.x * x + through.y;
            }
            entering[c] = x;
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
                int at = line + l * 8 * run + i;
                if (at < in.lines()) {
                    *(float4*)(states + (long long)(back ? in.lines() - 1 - at : at) * in.channels) =
                            l ? make_float4(x[0].z, x[0].w, x[1].z, x[1].w) : make_float4(x[0].x, x[0].y, x[1].x, x[1].y);
                }
            }
        }
    }
}

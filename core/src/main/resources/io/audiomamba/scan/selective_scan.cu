// The 2-D selective scan of VMamba on a GPU: io.audiomamba.scan.CudaScan launches these kernels.
//
// Compiled at run time with N (states), R (rank of the step size) and TYPE (0 float32, 1 bfloat16, 2 float16) defined.
// A thread is one channel, so that neighbouring threads read neighbouring memory (channels last). The L = H W tokens are
// cut along the rows, and again along the columns, into chunks; a block is one chunk of one image and up to 128
// channels, and works through it in tiles of TILE tokens that it holds in registers. Reading a chunk backwards is the
// same chunk with its tokens numbered from the end. What crosses a chunk's border is handled in three passes:
//
//   local    every chunk by itself, from a state of zero: its last state, and the sum of its step sizes
//   carry    along the chunks: the state that enters each; a chunk multiplies it by exp(A * sum of step sizes)
//   merged   every chunk again, from the right state, writing results
//
// and alike backwards in time for the gradients. No pass needs atomics, so results are the same in every run.

constexpr int TILE = 16;
constexpr int CHUNK = 64;
constexpr int TILES = CHUNK / TILE;
constexpr int ROW = R + 2 * N;
constexpr int WARPS = 4;
constexpr float LOG2E = 1.4426950408889634f;

#if TYPE == 0
typedef float value;
__device__ float load(const value* p) { return *p; }
__device__ void store(value* p, float x) { *p = x; }
#else
typedef unsigned short value;
#if TYPE == 1
__device__ float load(const value* p) { return __uint_as_float((unsigned)*p << 16); }
__device__ void store(value* p, float x) {
    unsigned bits = __float_as_uint(x);
    *p = x == x ? (value)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) : (value)0x7fff; // round to nearest even
}
#else
__device__ float load(const value* p) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(*p));
    return x;
}
__device__ void store(value* p, float x) {
    value bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    *p = bits;
}
#endif
#endif

struct Grid {
    int height, width, channels;
    __device__ int length() const { return height * width; }
    __device__ int chunks() const { return (length() + CHUNK - 1) / CHUNK; }
    // The token at a position along the rows (k even) or along the columns (k odd).
    __device__ int token(int position, int k) const {
        return k & 1 ? position % height * width + position / height : position;
    }
};

struct Operands {
    const value* tokens;      // (B, L, D)
    const value* projections; // (B, L, 4, R + 2 N)
    const float* dtWeight;    // (4, D, R)
    const float* dtBias;      // (4, D)
    const float* aLogs;       // (4, D, N)
    const float* skip;        // (4, D)
    Grid grid;
};

// One chunk of one image, read in direction k: 0 rows, 1 columns, 2 and 3 the same backwards.
struct Chunk {
    Grid grid;
    int k, first, length;

    __device__ Chunk(const Grid& grid, int k, int index) : grid(grid), k(k), first(index * CHUNK) {
        length = min(CHUNK, grid.length() - first);
    }
    __device__ int tiles() const { return (length + TILE - 1) / TILE; }
    // The token that is read as number `time` of this chunk; -1 behind its end.
    __device__ int token(int time) const {
        return time < length ? grid.token(first + (k < 2 ? time : length - 1 - time), k) : -1;
    }
};

// What all threads of a block read of a tile: the projections of its tokens, transposed; zero behind the chunk's end.
struct Tile {
    float4 rows[ROW][TILE / 4];
    int tokens[TILE];

    __device__ float at(int row, int time) const { return ((const float*)rows[row])[time]; }

    __device__ void read(const Operands& in, const Chunk& chunk, int image, int tile) {
        __syncthreads(); // nobody reads the tile before any more
        for (int i = threadIdx.x; i < TILE * ROW; i += blockDim.x) {
            int time = i / ROW, row = i % ROW;
            int token = chunk.token(tile * TILE + time);
            long long from = (((long long)image * in.grid.length() + token) * 4 + chunk.k) * ROW + row;
            ((float*)rows[row])[time] = token < 0 ? 0 : load(in.projections + from);
        }
        if (threadIdx.x < TILE) {
            tokens[threadIdx.x] = chunk.token(tile * TILE + threadIdx.x);
        }
        __syncthreads();
    }
};

// What a thread knows of its channel in one direction.
struct Channel {
    const float* weight;
    float bias, skip, a[N];
    bool exists;

    __device__ Channel(const Operands& in, int k, int d) {
        exists = d < in.grid.channels;
        long long channel = (long long)k * in.grid.channels + (exists ? d : 0);
        weight = in.dtWeight + channel * R;
        bias = in.dtBias[channel];
        skip = in.skip[channel];
        for (int n = 0; n < N; n++) {
            a[n] = -expf(in.aLogs[channel * N + n]);
        }
    }

    // softplus(W x + b) for a tile; zero, which changes no state, behind the chunk's end.
    __device__ void stepSizes(const Tile& tile, float dt[TILE]) const {
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            dt[i] = bias;
        }
#pragma unroll 4
        for (int r = 0; r < R; r++) {
            float w = weight[r];
#pragma unroll
            for (int q = 0; q < TILE / 4; q++) {
                float4 x = tile.rows[r][q];
                dt[4 * q] += w * x.x;
                dt[4 * q + 1] += w * x.y;
                dt[4 * q + 2] += w * x.z;
                dt[4 * q + 3] += w * x.w;
            }
        }
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            float softplus = fmaxf(dt[i], 0) + log1pf(__expf(-fabsf(dt[i])));
            dt[i] = tile.tokens[i] < 0 ? 0 : softplus;
        }
    }
};

__device__ float decay(float dt, float a) { return exp2f(dt * (a * LOG2E)); }

// This thread's channel of a tile of (B, L, D); zero where there is none.
template <typename T>
__device__ void gather(const T* from, const Tile& tile, int image, const Grid& grid, int d, float x[TILE]) {
#pragma unroll
    for (int i = 0; i < TILE; i++) {
        int token = tile.tokens[i];
        bool exists = token >= 0 && d < grid.channels;
        x[i] = exists ? load(from + ((long long)image * grid.length() + token) * grid.channels + d) : 0;
    }
}

#if TYPE != 0
__device__ float load(const float* p) { return *p; }
#endif

// Of what crosses the chunks' borders: states (B, 4, chunks, N, D), then sums of step sizes (B, 4, chunks, D).
__device__ long long stateAt(const Grid& grid, int imageAndK, int chunk, int n, int d) {
    return (((long long)imageAndK * grid.chunks() + chunk) * N + n) * grid.channels + d;
}
__device__ long long sumAt(const Grid& grid, int images, int imageAndK, int chunk, int d) {
    return stateAt(grid, 4 * images, 0, 0, 0) + ((long long)imageAndK * grid.chunks() + chunk) * grid.channels + d;
}

extern "C" __global__ void forward_local(Operands in, int images, float* borders) {
    __shared__ Tile tile;
    int d = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.z / 4, k = blockIdx.z % 4;
    Chunk chunk(in.grid, k, blockIdx.y);
    Channel channel(in, k, d);
    float h[N] = {}, sum = 0, dt[TILE], u[TILE];
    for (int t = 0; t < chunk.tiles(); t++) {
        tile.read(in, chunk, image, t);
        channel.stepSizes(tile, dt);
        gather(in.tokens, tile, image, in.grid, d, u);
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            sum += dt[i];
#pragma unroll
            for (int n = 0; n < N; n++) {
                h[n] = decay(dt[i], channel.a[n]) * h[n] + dt[i] * u[i] * tile.at(R + n, i);
            }
        }
    }
    if (channel.exists) {
        for (int n = 0; n < N; n++) {
            borders[stateAt(in.grid, blockIdx.z, blockIdx.y, n, d)] = h[n];
        }
        borders[sumAt(in.grid, images, blockIdx.z, blockIdx.y, d)] = sum;
    }
}

// Replaces what leaves each chunk by what enters it; backwards in time for adjoints. `sums` is where step sizes are.
extern "C" __global__ void carry(Operands in, int images, float* borders, const float* sums, int adjoint) {
    int d = blockIdx.x * blockDim.x + threadIdx.x, n = blockIdx.y, k = blockIdx.z % 4;
    if (d >= in.grid.channels) {
        return;
    }
    float a = -expf(in.aLogs[((long long)k * in.grid.channels + d) * N + n]), entering = 0;
    bool descending = (k >= 2) != (adjoint != 0);
    int chunks = in.grid.chunks();
    for (int i = 0; i < chunks; i++) {
        int chunk = descending ? chunks - 1 - i : i;
        long long at = stateAt(in.grid, blockIdx.z, chunk, n, d);
        float leaving = borders[at];
        borders[at] = entering;
        entering = decay(sums[sumAt(in.grid, images, blockIdx.z, chunk, d)], a) * entering + leaving;
    }
}

// y for both directions along one axis; `add` to what is there already.
extern "C" __global__ void forward_merged(Operands in, const float* borders, float* y, int axis, int add) {
    __shared__ Tile tile;
    int d = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.z;
    for (int k = axis; k < 4; k += 2) {
        Chunk chunk(in.grid, k, blockIdx.y);
        Channel channel(in, k, d);
        float h[N], dt[TILE], u[TILE];
        for (int n = 0; n < N; n++) {
            h[n] = channel.exists ? borders[stateAt(in.grid, 4 * image + k, blockIdx.y, n, d)] : 0;
        }
        for (int t = 0; t < chunk.tiles(); t++) {
            tile.read(in, chunk, image, t);
            channel.stepSizes(tile, dt);
            gather(in.tokens, tile, image, in.grid, d, u);
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                float sum = channel.skip * u[i];
#pragma unroll
                for (int n = 0; n < N; n++) {
                    h[n] = decay(dt[i], channel.a[n]) * h[n] + dt[i] * u[i] * tile.at(R + n, i);
                    sum += h[n] * tile.at(R + N + n, i);
                }
                if (tile.tokens[i] >= 0 && channel.exists) {
                    float* at = y + ((long long)image * in.grid.length() + tile.tokens[i]) * in.grid.channels + d;
                    *at = add || k >= 2 ? *at + sum : sum;
                }
            }
        }
    }
}

// Every chunk by itself, backwards in time: dL/dh that leaves it towards the past.
extern "C" __global__ void backward_local(Operands in, const value* gradY, float* borders) {
    __shared__ Tile tile;
    int d = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.z / 4, k = blockIdx.z % 4;
    Chunk chunk(in.grid, k, blockIdx.y);
    Channel channel(in, k, d);
    float adjoint[N] = {}, dt[TILE], g[TILE];
    for (int t = chunk.tiles() - 1; t >= 0; t--) {
        tile.read(in, chunk, image, t);
        channel.stepSizes(tile, dt);
        gather(gradY, tile, image, in.grid, d, g);
#pragma unroll
        for (int i = TILE - 1; i >= 0; i--) {
#pragma unroll
            for (int n = 0; n < N; n++) {
                adjoint[n] = decay(dt[i], channel.a[n]) * (adjoint[n] + g[i] * tile.at(R + N + n, i));
            }
        }
    }
    for (int n = 0; n < N && channel.exists; n++) {
        borders[stateAt(in.grid, blockIdx.z, blockIdx.y, n, d)] = adjoint[n];
    }
}

// Sums each of TILE values over the warp's lanes, halving the values at each exchange: the sum of value lane / 2.
__device__ float sumOverLanes(float x[TILE]) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = TILE / 2, apart = 16; half > 0; half /= 2, apart /= 2) {
        bool upper = lane & apart;
#pragma unroll
        for (int i = 0; i < half; i++) {
            float give = upper ? x[i] : x[i + half];
            float keep = upper ? x[i + half] : x[i];
            x[i] = keep + __shfl_xor_sync(0xffffffffu, give, apart);
        }
    }
    return x[0] + __shfl_xor_sync(0xffffffffu, x[0], 1);
}

struct Gradients {
    float* tokens;       // (B, L, D), added to from the second direction on
    value* steps;        // of the step sizes before softplus, (4, B, L, D)
    float* matrices;     // of B_t and C_t, (blocks of channels, B, L, 4, 2 N)
    float* parameters;   // of A (N of them), skip and bias, (B, chunks, 4, N + 2, D)
};

// All gradients for both directions along one axis.
extern "C" __global__ void backward_merged(Operands in, const value* gradY, const float* borders,
        const float* adjoints, Gradients out, int axis, int add) {
    __shared__ Tile tile;
    __shared__ float sums[WARPS][2 * N][TILE];
    int d = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.z;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int k = axis; k < 4; k += 2) {
        Chunk chunk(in.grid, k, blockIdx.y);
        Channel channel(in, k, d);
        float starts[TILES][N], adjoint[N], gradA[N] = {}, gradSkip = 0, gradBias = 0;
        float dt[TILE], u[TILE], g[TILE];
        for (int n = 0; n < N; n++) {
            long long at = stateAt(in.grid, 4 * image + k, blockIdx.y, n, d);
            starts[0][n] = channel.exists ? borders[at] : 0;
            adjoint[n] = channel.exists ? adjoints[at] : 0;
        }
        for (int t = 0; t < chunk.tiles() - 1; t++) { // the state at the start of each tile
            tile.read(in, chunk, image, t);
            channel.stepSizes(tile, dt);
            gather(in.tokens, tile, image, in.grid, d, u);
            for (int n = 0; n < N; n++) {
                float h = starts[t][n];
#pragma unroll
                for (int i = 0; i < TILE; i++) {
                    h = decay(dt[i], channel.a[n]) * h + dt[i] * u[i] * tile.at(R + n, i);
                }
                starts[t + 1][n] = h;
            }
        }
        for (int t = chunk.tiles() - 1; t >= 0; t--) {
            tile.read(in, chunk, image, t);
            channel.stepSizes(tile, dt);
            gather(in.tokens, tile, image, in.grid, d, u);
            gather(gradY, tile, image, in.grid, d, g);
            float gradU[TILE], gradDt[TILE];
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                gradU[i] = channel.skip * g[i];
                gradDt[i] = 0;
                gradSkip += g[i] * u[i];
            }
#pragma unroll 1
            for (int n = 0; n < N; n++) {
                float a = channel.a[n], h = starts[t][n], e = adjoint[n], da = 0;
                float decayed[TILE], gradB[TILE], gradC[TILE]; // decayed: what is left of the state before
#pragma unroll
                for (int i = 0; i < TILE; i++) {
                    decayed[i] = decay(dt[i], a) * h;
                    h = decayed[i] + dt[i] * u[i] * tile.at(R + n, i);
                    gradC[i] = g[i] * h;
                }
#pragma unroll
                for (int i = TILE - 1; i >= 0; i--) {
                    float b = tile.at(R + n, i);
                    e += g[i] * tile.at(R + N + n, i); // now dL/dh_t
                    gradB[i] = dt[i] * u[i] * e;
                    gradU[i] += dt[i] * b * e;
                    gradDt[i] += e * (a * decayed[i] + u[i] * b);
                    da += e * dt[i] * decayed[i];
                    e *= decay(dt[i], a);
                }
                adjoint[n] = e;
                gradA[n] += da;
                float sumB = sumOverLanes(gradB), sumC = sumOverLanes(gradC);
                if (lane % 2 == 0) {
                    sums[warp][n][lane / 2] = sumB;
                    sums[warp][N + n][lane / 2] = sumC;
                }
            }
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                float gradStep = gradDt[i] * -expm1f(-dt[i]); // softplus' is 1 - exp(-softplus)
                gradBias += gradStep;
                if (tile.tokens[i] >= 0 && channel.exists) {
                    long long token = (long long)image * in.grid.length() + tile.tokens[i];
                    long long tokens = (long long)gridDim.z * in.grid.length();
                    store(out.steps + (k * tokens + token) * in.grid.channels + d, gradStep);
                    float* at = out.tokens + token * in.grid.channels + d;
                    *at = add || k >= 2 ? *at + gradU[i] : gradU[i];
                }
            }
            __syncthreads();
            for (int i = threadIdx.x; i < 2 * N * TILE; i += blockDim.x) {
                int row = i % (2 * N), time = i / (2 * N);
                if (tile.tokens[time] >= 0) {
                    float sum = 0;
                    for (int w = 0; w < blockDim.x / 32; w++) {
                        sum += sums[w][row][time];
                    }
                    long long token = ((long long)blockIdx.x * gridDim.z + image) * in.grid.length() + tile.tokens[time];
                    out.matrices[(token * 4 + k) * 2 * N + row] = sum;
                }
            }
        }
        if (channel.exists) {
            long long at = (((long long)image * in.grid.chunks() + blockIdx.y) * 4 + k) * (N + 2);
            for (int n = 0; n < N; n++) {
                out.parameters[(at + n) * in.grid.channels + d] = gradA[n];
            }
            out.parameters[(at + N) * in.grid.channels + d] = gradSkip;
            out.parameters[(at + N + 1) * in.grid.channels + d] = gradBias;
        }
    }
}

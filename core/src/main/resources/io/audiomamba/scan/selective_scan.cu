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

typedef Type<TYPE>::of value;

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

// What all threads of a block read: the tokens of a chunk in the order of reading, -1 behind its end; and the
// projections of one tile of them, transposed, zero behind the chunk's end.
struct Shared {
    int order[CHUNK];
    float4 rows[ROW][TILE / 4];

    __device__ void begin(const Chunk& chunk) {
        __syncthreads(); // nobody reads the last chunk any more
        for (int i = threadIdx.x; i < CHUNK; i += blockDim.x) {
            order[i] = chunk.token(i);
        }
        __syncthreads();
    }

    __device__ void read(const Operands& in, int image, int k, int tile) {
        __syncthreads(); // nobody reads the last tile any more
        const value* from = in.projections + ((long long)image * in.grid.length() * 4 + k) * ROW;
        for (int i = threadIdx.x; i < TILE * ROW; i += blockDim.x) {
            int time = i / ROW, row = i % ROW;
            int token = order[tile * TILE + time];
            ((float*)rows[row])[time] = token < 0 ? 0 : load(from + (long long)token * (4 * ROW) + row);
        }
        __syncthreads();
    }

    // Four times of a row at once.
    __device__ float4 at(int row, int q) const { return rows[row][q]; }
};

// log(1 + z) for z in [0, 1]: z times a minimax polynomial for log(1 + z) / z.
__device__ float log1pOfUnit(float z) {
    float p = 5.253457796e-03f;
    p = p * z - 2.958850739e-02f;
    p = p * z + 7.836166801e-02f;
    p = p * z - 1.367476970e-01f;
    p = p * z + 1.911143108e-01f;
    p = p * z - 2.484436989e-01f;
    p = p * z + 3.331927134e-01f;
    p = p * z - 4.999950152e-01f;
    p = p * z + 9.999999705e-01f;
    return p * z;
}

// What a thread knows of its channel in one direction.
struct Channel {
    const float* weight;
    const float* aLogs;
    float bias, skip;
    bool exists;

    __device__ Channel(const Operands& in, int k, int d) {
        exists = d < in.grid.channels;
        long long channel = (long long)k * in.grid.channels + (exists ? d : 0);
        weight = in.dtWeight + channel * R;
        aLogs = in.aLogs + channel * N;
        bias = in.dtBias[channel];
        skip = in.skip[channel];
    }

    __device__ float a(int n) const { return -__expf(aLogs[n]); }

    // softplus(W x + b) for a tile; zero, which changes no state, behind the chunk's end.
    __device__ void stepSizes(const Shared& shared, int tile, float dt[TILE]) const {
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            dt[i] = bias;
        }
#pragma unroll 2
        for (int r = 0; r < R; r++) {
            float w = weight[r];
#pragma unroll
            for (int q = 0; q < TILE / 4; q++) {
                float4 x = shared.at(r, q);
                dt[4 * q] += w * x.x;
                dt[4 * q + 1] += w * x.y;
                dt[4 * q + 2] += w * x.z;
                dt[4 * q + 3] += w * x.w;
            }
        }
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            float softplus = fmaxf(dt[i], 0) + log1pOfUnit(exp2Fast(-LOG2E * fabsf(dt[i])));
            dt[i] = shared.order[tile * TILE + i] < 0 ? 0 : softplus;
        }
    }
};

// This thread's channel of a tile of (B, L, D); zero where there is none.
template <typename T>
__device__ void gather(const T* from, const Shared& shared, int tile, int image, const Grid& grid, int d,
        float x[TILE]) {
    from += (long long)image * grid.length() * grid.channels + d;
#pragma unroll
    for (int i = 0; i < TILE; i++) {
        int token = shared.order[tile * TILE + i];
        x[i] = token >= 0 && d < grid.channels ? load(from + (long long)token * grid.channels) : 0;
    }
}

// Of what crosses the chunks' borders: states (B, 4, chunks, N, D), then sums of step sizes (B, 4, chunks, D).
__device__ long long stateAt(const Grid& grid, int imageAndK, int chunk, int n, int d) {
    return (((long long)imageAndK * grid.chunks() + chunk) * N + n) * grid.channels + d;
}
__device__ long long sumAt(const Grid& grid, int images, int imageAndK, int chunk, int d) {
    return stateAt(grid, 4 * images, 0, 0, 0) + ((long long)imageAndK * grid.chunks() + chunk) * grid.channels + d;
}

// A row of the tile in registers.
__device__ void unpack(const Shared& shared, int row, float x[TILE]) {
#pragma unroll
    for (int q = 0; q < TILE / 4; q++) {
        float4 four = shared.at(row, q);
        x[4 * q] = four.x;
        x[4 * q + 1] = four.y;
        x[4 * q + 2] = four.z;
        x[4 * q + 3] = four.w;
    }
}

// The state n after a tile that it enters as h; `fed` is dt u.
__device__ float advance(const Shared& shared, int n, float a, const float dt[TILE], const float fed[TILE], float h) {
    float b[TILE];
    unpack(shared, R + n, b);
    float a2 = a * LOG2E;
#pragma unroll
    for (int i = 0; i < TILE; i++) {
        h = exp2Fast(dt[i] * a2) * h + fed[i] * b[i];
    }
    return h;
}

__device__ void multiply(float x[TILE], const float y[TILE]) {
#pragma unroll
    for (int i = 0; i < TILE; i++) {
        x[i] *= y[i];
    }
}

extern "C" __global__ void forward_local(Operands in, int images, float* borders) {
    __shared__ Shared shared;
    int d = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.z / 4, k = blockIdx.z % 4;
    Chunk chunk(in.grid, k, blockIdx.y);
    Channel channel(in, k, d);
    float h[N] = {}, sum = 0, dt[TILE], fed[TILE];
    shared.begin(chunk);
    for (int t = 0; t < chunk.tiles(); t++) {
        gather(in.tokens, shared, t, image, in.grid, d, fed);
        shared.read(in, image, k, t);
        channel.stepSizes(shared, t, dt);
        multiply(fed, dt);
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            sum += dt[i];
        }
#pragma unroll 1
        for (int n = 0; n < N; n++) {
            h[n] = advance(shared, n, channel.a(n), dt, fed, h[n]);
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
    float a2 = Channel(in, k, d).a(n) * LOG2E, entering = 0;
    bool descending = (k >= 2) != (adjoint != 0);
    int chunks = in.grid.chunks();
    for (int i = 0; i < chunks; i++) {
        int chunk = descending ? chunks - 1 - i : i;
        long long at = stateAt(in.grid, blockIdx.z, chunk, n, d);
        float leaving = borders[at];
        borders[at] = entering;
        entering = exp2Fast(sums[sumAt(in.grid, images, blockIdx.z, chunk, d)] * a2) * entering + leaving;
    }
}

// y for both directions along one axis; `add` to what is there already.
extern "C" __global__ void forward_merged(Operands in, const float* borders, float* y, int axis, int add) {
    __shared__ Shared shared;
    int d = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.z;
    float* out = y + (long long)image * in.grid.length() * in.grid.channels + d;
    for (int k = axis; k < 4; k += 2) {
        Chunk chunk(in.grid, k, blockIdx.y);
        Channel channel(in, k, d);
        float h[N], dt[TILE], fed[TILE], sum[TILE];
        for (int n = 0; n < N; n++) {
            h[n] = channel.exists ? borders[stateAt(in.grid, 4 * image + k, blockIdx.y, n, d)] : 0;
        }
        shared.begin(chunk);
        for (int t = 0; t < chunk.tiles(); t++) {
            gather(in.tokens, shared, t, image, in.grid, d, fed);
            shared.read(in, image, k, t);
            channel.stepSizes(shared, t, dt);
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                sum[i] = channel.skip * fed[i];
            }
            multiply(fed, dt);
#pragma unroll 1
            for (int n = 0; n < N; n++) {
                float b[TILE], c[TILE], state = h[n], a2 = channel.a(n) * LOG2E;
                unpack(shared, R + n, b);
                unpack(shared, R + N + n, c);
#pragma unroll
                for (int i = 0; i < TILE; i++) {
                    state = exp2Fast(dt[i] * a2) * state + fed[i] * b[i];
                    sum[i] += state * c[i];
                }
                h[n] = state;
            }
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                int token = shared.order[t * TILE + i];
                if (token >= 0 && channel.exists) {
                    float* at = out + (long long)token * in.grid.channels;
                    *at = add || k >= 2 ? *at + sum[i] : sum[i];
                }
            }
        }
    }
}

// Every chunk by itself, backwards in time: dL/dh that leaves it towards the past.
extern "C" __global__ void backward_local(Operands in, const value* gradY, float* borders) {
    __shared__ Shared shared;
    int d = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.z / 4, k = blockIdx.z % 4;
    Chunk chunk(in.grid, k, blockIdx.y);
    Channel channel(in, k, d);
    float adjoint[N] = {}, dt[TILE], g[TILE];
    shared.begin(chunk);
    for (int t = chunk.tiles() - 1; t >= 0; t--) {
        gather(gradY, shared, t, image, in.grid, d, g);
        shared.read(in, image, k, t);
        channel.stepSizes(shared, t, dt);
#pragma unroll 1
        for (int n = 0; n < N; n++) {
            float c[TILE], e = adjoint[n], a2 = channel.a(n) * LOG2E;
            unpack(shared, R + N + n, c);
#pragma unroll
            for (int i = TILE - 1; i >= 0; i--) {
                e = exp2Fast(dt[i] * a2) * (e + g[i] * c[i]);
            }
            adjoint[n] = e;
        }
    }
    for (int n = 0; n < N && channel.exists; n++) {
        borders[stateAt(in.grid, blockIdx.z, blockIdx.y, n, d)] = adjoint[n];
    }
}

// softplus' at the place where softplus is s: 1 - exp(-s), as a series where that would cancel.
__device__ float logisticOf(float s) {
    return s < 0.05f ? s * (1 - s * (0.5f - s * (1.f / 6 - s * (1.f / 24)))) : 1 - exp2Fast(-LOG2E * s);
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
    __shared__ Shared shared;
    __shared__ float sums[WARPS][2 * N][TILE];
    int d = blockIdx.x * blockDim.x + threadIdx.x, image = blockIdx.z;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int k = axis; k < 4; k += 2) {
        Chunk chunk(in.grid, k, blockIdx.y);
        Channel channel(in, k, d);
        float starts[TILES][N], adjoint[N], gradA[N] = {}, gradSkip = 0, gradBias = 0;
        float dt[TILE], u[TILE], g[TILE], fed[TILE];
        for (int n = 0; n < N; n++) {
            long long at = stateAt(in.grid, 4 * image + k, blockIdx.y, n, d);
            starts[0][n] = channel.exists ? borders[at] : 0;
            adjoint[n] = channel.exists ? adjoints[at] : 0;
        }
        shared.begin(chunk);
        for (int t = 0; t < chunk.tiles() - 1; t++) { // the state at the start of each tile
            gather(in.tokens, shared, t, image, in.grid, d, fed);
            shared.read(in, image, k, t);
            channel.stepSizes(shared, t, dt);
            multiply(fed, dt);
#pragma unroll 1
            for (int n = 0; n < N; n++) {
                starts[t + 1][n] = advance(shared, n, channel.a(n), dt, fed, starts[t][n]);
            }
        }
        for (int t = chunk.tiles() - 1; t >= 0; t--) {
            gather(in.tokens, shared, t, image, in.grid, d, u);
            gather(gradY, shared, t, image, in.grid, d, g);
            shared.read(in, image, k, t);
            channel.stepSizes(shared, t, dt);
            float gradU[TILE], gradDt[TILE];
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                gradU[i] = channel.skip * g[i];
                gradDt[i] = 0;
                gradSkip += g[i] * u[i];
                fed[i] = dt[i] * u[i];
            }
#pragma unroll 1
            for (int n = 0; n < N; n++) {
                float a = channel.a(n), h = starts[t][n], e = adjoint[n], da = 0, a2 = a * LOG2E;
                float decayed[TILE], gradB[TILE], gradC[TILE], row[TILE]; // decayed: what is left of the state before
                unpack(shared, R + n, row);
#pragma unroll
                for (int i = 0; i < TILE; i++) {
                    decayed[i] = exp2Fast(dt[i] * a2) * h;
                    h = decayed[i] + fed[i] * row[i];
                    gradC[i] = g[i] * h;
                }
                float sumC = sumOverLanes(gradC), c[TILE];
                unpack(shared, R + N + n, c);
#pragma unroll
                for (int i = TILE - 1; i >= 0; i--) {
                    e += g[i] * c[i]; // now dL/dh_t
                    gradB[i] = fed[i] * e;
                    float fromB = row[i] * e;
                    gradU[i] += dt[i] * fromB;
                    float fromA = e * decayed[i];
                    gradDt[i] += a * fromA + u[i] * fromB;
                    da += dt[i] * fromA;
                    e *= exp2Fast(dt[i] * a2);
                }
                adjoint[n] = e;
                gradA[n] += da;
                float sumB = sumOverLanes(gradB);
                if (lane % 2 == 0) {
                    sums[warp][n][lane / 2] = sumB;
                    sums[warp][N + n][lane / 2] = sumC;
                }
            }
            long long tokens = (long long)gridDim.z * in.grid.length();
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                float gradStep = gradDt[i] * logisticOf(dt[i]);
                gradBias += gradStep;
                int token = shared.order[t * TILE + i];
                if (token >= 0 && channel.exists) {
                    long long row = (long long)image * in.grid.length() + token;
                    store(out.steps + (k * tokens + row) * in.grid.channels + d, gradStep);
                    float* at = out.tokens + row * in.grid.channels + d;
                    *at = add || k >= 2 ? *at + gradU[i] : gradU[i];
                }
            }
            __syncthreads();
            for (int i = threadIdx.x; i < 2 * N * TILE; i += blockDim.x) {
                int row = i % (2 * N), time = i / (2 * N);
                int token = shared.order[t * TILE + time];
                if (token >= 0) {
                    float sum = 0;
                    for (int w = 0; w < blockDim.x / 32; w++) {
                        sum += sums[w][row][time];
                    }
                    long long at = ((long long)blockIdx.x * gridDim.z + image) * in.grid.length() + token;
                    out.matrices[(at * 4 + k) * 2 * N + row] = sum;
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

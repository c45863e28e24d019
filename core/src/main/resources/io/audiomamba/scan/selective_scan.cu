// The 2-D selective scan of VMamba on a GPU: io.audiomamba.scan.CudaScan launches these kernels.
//
// Compiled at run time, behind numbers.cuh, with N (states), R (rank of the step size) and TYPE (0 float32, 1 bfloat16,
// 2 float16) defined.
//
// The L = H W tokens of an image are cut into chunks of CHUNK, once along the rows (axis 0) and once along the columns
// (axis 1). A block is one chunk of one image and up to 32 WARPS channels; a thread is one channel, so that neighbouring
// threads read neighbouring memory (channels last). It works through the chunk in tiles of TILE tokens that it holds in
// registers. Directions k = axis and k + 2 = axis + 2 read the same chunk, the second from its last position to its
// first: tables and tiles go by position. What crosses a chunk's border is handled in three passes:
//
//   local    every chunk by itself, from a state of zero: its last state, and the sum of its step sizes
//   carry    along the chunks: the state that enters each; a chunk multiplies it by exp(A * sum of step sizes)
//   merged   every chunk again, from the right state, writing results
//
// and alike against time for the gradients. `merged` is launched for axis 0, which leaves the sum of its two directions
// as float32, and then for axis 1, which adds its own and writes the result. Between the two directions of a block
// the sum stays in shared memory. Kept for the backward pass are the sums of step sizes and the state that enters every
// tile, or only every chunk if there are so many states that computing the others again is cheaper.
//
// Step sizes are in units of ln 2, dt = ln 2 * s: then s = log2(1 + 2^x) and exp(A dt) = 2^(A s). For this x, W_dt and
// the bias are multiplied by log2(e) beforehand, and B_t by ln 2 when it is read.
//
// The last chunk may be incomplete. Its missing positions read what its last one reads, but get a step size, and
// a gradient, of zero, which changes nothing; threads without a channel do the same with the last channel. Neither
// stores anything. No pass needs atomics, so results are the same in every run.

constexpr int TILE = 16;
constexpr int CHUNK = 64;
constexpr int TILES = CHUNK / TILE;
constexpr int ROW = R + 2 * N;
constexpr int WARP = 32;
constexpr int WARPS = ROW > 70 ? 2 : 3; // of a block at most: what 48 KB of shared memory allow
constexpr bool KEEPS_TILES = N <= 2;    // of the states that enter
constexpr int STATES_AT_ONCE = N <= 2 ? N : 1;
constexpr int RANK = TYPE == 0 ? R : (R + 15) / 16 * 16; // as W_dt lies in memory
constexpr float LN2 = 0.6931471805599453f;

#if TYPE != 0 && __CUDA_ARCH__ >= 800
#define TENSOR_CORES
#endif

typedef Type<TYPE>::of value;

struct Grid {
    int height, width, channels;
    __device__ int length() const { return height * width; }
    __device__ int chunks() const { return (length() + CHUNK - 1) / CHUNK; }
    // The token at a position along the rows (axis 0) or along the columns (axis 1).
    __device__ int token(int position, int axis) const {
        return axis ? position % height * width + position / height : position;
    }
};

struct Operands {
    const value* tokens;      // (B, L, D)
    const value* projections; // (B, L, 4, R + 2 N)
    const value* dtWeight;    // (4, D, RANK), times log2(e), zero from R on
    const float* dtBias;      // (4, D), times log2(e)
    const float* aLogs;       // (4, D, N)
    const float* skip;        // (4, D)
    Grid grid;
};

// What a thread works on.
struct Work {
    int axis, chunk, length, image, channel;
    bool exists; // whether there is a channel for this thread

    __device__ Work(const Grid& grid, int axis, int chunk) : axis(axis), chunk(chunk), image(blockIdx.z) {
        length = min(CHUNK, grid.length() - chunk * CHUNK);
        channel = blockIdx.y * blockDim.x + threadIdx.x;
        exists = channel < grid.channels;
        channel = min(channel, grid.channels - 1);
    }
    __device__ int tiles() const { return (length + TILE - 1) / TILE; }
    // So many positions of a tile are this thread's to store.
    __device__ int count(int tile) const { return exists ? min(TILE, length - tile * TILE) : 0; }
    // Where this thread's channel of the image begins in (B, L, D).
    __device__ long long start(const Grid& grid) const {
        return (long long)image * grid.length() * grid.channels + channel;
    }
    // Index into (B, 4, chunks * parts, rows, D).
    __device__ long long at(const Grid& grid, int k, int parts, int part, int rows, int row) const {
        long long places = (long long)(4 * image + k) * grid.chunks() + chunk;
        return ((places * parts + part) * rows + row) * grid.channels + channel;
    }
};

template <typename F>
__device__ void forEach(int count, F f) {
    if (count == TILE) {
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            f(i);
        }
    } else {
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            if (i < count) {
                f(i);
            }
        }
    }
}

// Makes zero what is behind the first `count`.
__device__ void clip(int count, float x[TILE]) {
    if (count < TILE) {
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            x[i] = i < count ? x[i] : 0;
        }
    }
}

// The product of numbers of 32 bits; the compiler would rather multiply 64 bits by 64.
__device__ unsigned long long product(unsigned x, unsigned y) {
    unsigned long long z;
    asm("mul.wide.u32 %0, %1, %2;" : "=l"(z) : "r"(x), "r"(y));
    return z;
}

// A channel in another token; `first` is its place in token 0.
template <typename T>
__device__ T* inToken(T* first, unsigned token, unsigned channels) {
    return (T*)((const char*)first + product(token, channels * (unsigned)sizeof(T)));
}

// The tokens of a chunk by position.
struct alignas(16) Places {
    unsigned tokens[CHUNK];

    __device__ void fill(const Grid& grid, const Work& work) {
        for (int i = threadIdx.x; i < CHUNK; i += blockDim.x) {
            tokens[i] = grid.token(work.chunk * CHUNK + min(i, work.length - 1), work.axis);
        }
    }

    // One channel of a tile; `first` is its place in the image's token 0.
    template <typename T>
    __device__ void gather(const T* first, const Grid& grid, int tile, float x[TILE]) const {
#pragma unroll
        for (int i = 0; i < TILE; i += 4) {
            uint4 four = *(const uint4*)(tokens + tile * TILE + i);
            x[i] = load(inToken(first, four.x, grid.channels));
            x[i + 1] = load(inToken(first, four.y, grid.channels));
            x[i + 2] = load(inToken(first, four.z, grid.channels));
            x[i + 3] = load(inToken(first, four.w, grid.channels));
        }
    }
};

// Scratch memory of each warp: step sizes on their way to their threads, then sums on their way to other warps.
constexpr int SCRATCH = TILE * WARP;
struct alignas(16) Scratch {
    float of[WARPS][SCRATCH];
};

// The projections of a chunk in one direction, by position.
struct alignas(16) Rows {
#ifdef TENSOR_CORES
    value steps[CHUNK][RANK + 8]; // 8 more, so that the rows of a tile begin in different banks
#else
    float steps[R][CHUNK];
#endif
    float b[N][CHUNK]; // times ln 2
    float c[N][CHUNK];

    __device__ void clear() {
#ifdef TENSOR_CORES
        for (int i = threadIdx.x; i < CHUNK; i += blockDim.x) {
            for (int r = R; r < RANK; r++) {
                fromFloat(0, steps[i][r]);
            }
        }
#endif
    }

    __device__ void fill(const Operands& in, const Work& work, const Places& places, int k) {
        constexpr int AT_ONCE = ROW % 8 == 0 ? 8 : ROW % 4 == 0 ? 4 : ROW % 2 == 0 ? 2 : 1;
        constexpr int PARTS = ROW / AT_ONCE;
        const value* from = in.projections + ((long long)work.image * in.grid.length() * 4 + k) * ROW;
        for (int i = threadIdx.x; i < CHUNK * PARTS; i += blockDim.x) {
            int position = i / PARTS, first = i % PARTS * AT_ONCE;
            auto part = *(const Vector<value, AT_ONCE>*)(from + (long long)places.tokens[position] * (4 * ROW) + first);
#pragma unroll
            for (int j = 0; j < AT_ONCE; j++) {
                put(position, first + j, part.values[j]);
            }
        }
    }

    __device__ void put(int position, int row, value x) {
        if (row >= R + N) {
            c[row - R - N][position] = toFloat(x);
        } else if (row >= R) {
            b[row - R][position] = LN2 * toFloat(x);
        } else {
#ifdef TENSOR_CORES
            steps[position][row] = x;
#else
            steps[row][position] = toFloat(x);
#endif
        }
    }
};

// A tile of a row in registers.
__device__ void unpack(const float* row, int tile, float x[TILE]) {
#pragma unroll
    for (int i = 0; i < TILE; i += 4) {
        float4 four = *(const float4*)(row + tile * TILE + i);
        x[i] = four.x;
        x[i + 1] = four.y;
        x[i + 2] = four.z;
        x[i + 3] = four.w;
    }
}

// log2(1 + 2^x). The logarithm of 1 + z for z in [0, 1] is z times a minimax polynomial, of the degree that TYPE is
// worth; arithmetic, for the unit for exponentials and logarithms is the busier one.
__device__ float softplus2(float x) {
    float z = exp2Fast(-fabsf(x));
#if TYPE == 0
    float p = 5.253457796e-03f * LOG2E;
    p = p * z - 2.958850739e-02f * LOG2E;
    p = p * z + 7.836166801e-02f * LOG2E;
    p = p * z - 1.367476970e-01f * LOG2E;
    p = p * z + 1.911143108e-01f * LOG2E;
    p = p * z - 2.484436989e-01f * LOG2E;
    p = p * z + 3.331927134e-01f * LOG2E;
    p = p * z - 4.999950152e-01f * LOG2E;
    p = p * z + 9.999999705e-01f * LOG2E;
#else
    float p = 0.05965084299f;
    p = p * z - 0.2271180337f;
    p = p * z + 0.4418979399f;
    p = p * z - 0.7169872349f;
    p = p * z + 1.442613202f;
#endif
    return p * z + fmaxf(x, 0);
}

// The derivative of softplus at the place where softplus2 is s: 1 - 2^-s, as a series where that would cancel.
__device__ float logisticOf(float s) {
    float far = 1 - exp2Fast(-s);
#if TYPE == 0
    float dt = LN2 * s;
    return dt < 0.05f ? dt * (1 - dt * (0.5f - dt * (1.f / 6 - dt * (1.f / 24)))) : far;
#else
    return far;
#endif
}

#ifdef TENSOR_CORES
// d += a b for a (16, 16) and b (16, 8), each lane with its part.
__device__ void multiplyAdd(float d[4], const unsigned a[4], unsigned b0, unsigned b1) {
#if TYPE == 1
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// d += a b for a (16, 4) and b (4, 8) in tf32.
__device__ void multiplyAdd(float d[4], float a0, float a1, float b) {
    asm volatile("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(__float_as_uint(a0)), "r"(__float_as_uint(a1)), "r"(__float_as_uint(b)));
}
#endif

// The step sizes of a thread's channel in one direction: softplus(W x + b).
struct StepSizes {
#ifdef TENSOR_CORES
    // A warp multiplies W (32 channels, RANK) by x (RANK, TILE tokens). The lane holds of W and b what the instruction
    // wants of it: channels lane / 4 and 8 more, in both halves of the warp's channels.
    unsigned weights[2][RANK / 16][4];
    float bias[2][2];

    __device__ StepSizes(const Operands& in, const Work& work, int k) {
        int lane = threadIdx.x % WARP, first = blockIdx.y * blockDim.x + threadIdx.x - lane;
#pragma unroll
        for (int m = 0; m < 4; m++) {
            int channel = k * in.grid.channels + min(first + 8 * m + lane / 4, in.grid.channels - 1);
            bias[m / 2][m % 2] = in.dtBias[channel];
            const unsigned* pairs = (const unsigned*)(in.dtWeight + (long long)channel * RANK) + lane % 4;
#pragma unroll
            for (int r = 0; r < RANK / 16; r++) {
                weights[m / 2][r][m % 2] = pairs[8 * r];
                weights[m / 2][r][m % 2 + 2] = pairs[8 * r + 4];
            }
        }
    }

    __device__ void of(const Rows& rows, int tile, Scratch& scratch, float s[TILE]) const {
        int lane = threadIdx.x % WARP;
        float* products = scratch.of[threadIdx.x / WARP]; // (32 channels, 4 times 4 tokens), the latter shuffled
#pragma unroll
        for (int half = 0; half < 2; half++) { // of the tokens
            float d[2][4];
#pragma unroll
            for (int m = 0; m < 2; m++) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    d[m][i] = bias[m][i / 2];
                }
            }
            const value* row = rows.steps[tile * TILE + 8 * half + lane / 4] + lane % 4 * 2;
#pragma unroll
            for (int r = 0; r < RANK; r += 16) {
                unsigned x0 = *(const unsigned*)(row + r), x1 = *(const unsigned*)(row + r + 8);
                multiplyAdd(d[0], weights[0][r / 16], x0, x1);
                multiplyAdd(d[1], weights[1][r / 16], x0, x1);
            }
#pragma unroll
            for (int m = 0; m < 4; m++) {
                int channel = 8 * m + lane / 4, four = (2 * half + lane % 4 / 2) ^ shuffle(lane / 4);
                *(float2*)(products + channel * TILE + 4 * four + lane % 2 * 2) =
                        make_float2(d[m / 2][m % 2 * 2], d[m / 2][m % 2 * 2 + 1]);
            }
        }
        __syncwarp();
#pragma unroll
        for (int i = 0; i < TILE; i += 4) {
            float4 four = *(const float4*)(products + lane * TILE + ((i / 4) ^ shuffle(lane)) * 4);
            s[i] = softplus2(four.x);
            s[i + 1] = softplus2(four.y);
            s[i + 2] = softplus2(four.z);
            s[i + 3] = softplus2(four.w);
        }
        __syncwarp();
    }

    // Keeps lanes that read or write at the same time out of each other's banks.
    __device__ static int shuffle(int channel) { return channel & 2 | channel >> 2 & 1; }
#else
    const value* weights;
    float bias;

    __device__ StepSizes(const Operands& in, const Work& work, int k) {
        int channel = k * in.grid.channels + work.channel;
        weights = in.dtWeight + (long long)channel * RANK;
        bias = in.dtBias[channel];
    }

    __device__ void of(const Rows& rows, int tile, Scratch&, float s[TILE]) const {
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            s[i] = bias;
        }
#pragma unroll 2
        for (int r = 0; r < R; r++) {
            float w = load(weights + r), x[TILE];
            unpack(rows.steps[r], tile, x);
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                s[i] += w * x[i];
            }
        }
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            s[i] = softplus2(s[i]);
        }
    }
#endif
};

// A of a thread's channel in one direction.
__device__ void readA(const Operands& in, const Work& work, int k, float a[N]) {
    const float* logs = in.aLogs + ((long long)k * in.grid.channels + work.channel) * N;
    for (int n = 0; n < N; n++) {
        a[n] = -exp2Fast(LOG2E * logs[n]);
    }
}

// Position of the i-th in time.
template <bool REVERSED>
__device__ constexpr int nth(int i, int count) {
    return REVERSED ? count - 1 - i : i;
}

// A state after a tile; x is u.
template <bool REVERSED>
__device__ float advance(float a, const float s[TILE], const float x[TILE], const float* row, int tile, float h) {
    float b[TILE];
    unpack(row, tile, b);
#pragma unroll
    for (int j = 0; j < TILE; j++) {
        int i = nth<REVERSED>(j, TILE);
        h = exp2Fast(s[i] * a) * h + s[i] * x[i] * b[i];
    }
    return h;
}

// The adjoint dL/dh of the state that enters a tile from that of the state that leaves it; g is dL/dy.
template <bool REVERSED>
__device__ float retreat(float a, const float s[TILE], const float g[TILE], const float* row, int tile, float e) {
    float c[TILE];
    unpack(row, tile, c);
#pragma unroll
    for (int j = TILE - 1; j >= 0; j--) {
        int i = nth<REVERSED>(j, TILE);
        e = exp2Fast(s[i] * a) * (e + g[i] * c[i]);
    }
    return e;
}

struct LocalShared {
    Places places;
    Rows rows[2];
    Scratch scratch;
};

// A tile of one direction. Tiles come by position. If that is against the direction, the tile's contribution still has
// to go through all tiles before, whose step sizes add up to `sum`.
template <bool REVERSED, bool ADJOINT>
__device__ void localTile(const Rows& rows, const StepSizes& steps, const float a[N], int tile, int count,
        const float x[TILE], Scratch& scratch, float state[N], float& sum) {
    constexpr bool AGAINST = REVERSED != ADJOINT;
    float s[TILE];
    steps.of(rows, tile, scratch, s);
    clip(count, s);
#pragma unroll STATES_AT_ONCE
    for (int n = 0; n < N; n++) {
        float from = AGAINST ? 0 : state[n];
        float to = ADJOINT ? retreat<REVERSED>(a[n], s, x, rows.c[n], tile, from)
                           : advance<REVERSED>(a[n], s, x, rows.b[n], tile, from);
        state[n] = AGAINST ? state[n] + exp2Fast(sum * a[n]) * to : to;
    }
#pragma unroll
    for (int i = 0; i < TILE; i++) {
        sum += s[i];
    }
}

// Every chunk by itself, both directions: states (B, 4, chunks, N, D), and in the forward pass sums (B, 4, chunks, D).
template <bool ADJOINT>
__device__ void local(LocalShared& shared, const Operands& in, const value* from, float* states, float* sums) {
    Work work(in.grid, blockIdx.x % 2, blockIdx.x / 2);
    shared.places.fill(in.grid, work);
    __syncthreads();
    for (int i = 0; i < 2; i++) {
        shared.rows[i].clear();
        shared.rows[i].fill(in, work, shared.places, work.axis + 2 * i);
    }
    __syncthreads();
    StepSizes ahead(in, work, work.axis), back(in, work, work.axis + 2);
    float a[2][N], state[2][N] = {}, sum[2] = {};
    readA(in, work, work.axis, a[0]);
    readA(in, work, work.axis + 2, a[1]);
    from += work.start(in.grid);
#pragma unroll 1
    for (int tile = 0; tile < work.tiles(); tile++) {
        int count = work.count(tile);
        float x[TILE];
        shared.places.gather(from, in.grid, tile, x);
        clip(count, x);
        localTile<false, ADJOINT>(shared.rows[0], ahead, a[0], tile, count, x, shared.scratch, state[0], sum[0]);
        localTile<true, ADJOINT>(shared.rows[1], back, a[1], tile, count, x, shared.scratch, state[1], sum[1]);
    }
    for (int i = 0; i < 2 && work.exists; i++) {
        for (int n = 0; n < N; n++) {
            states[work.at(in.grid, work.axis + 2 * i, 1, 0, N, n)] = state[i][n];
        }
        if (!ADJOINT) {
            sums[work.at(in.grid, work.axis + 2 * i, 1, 0, 1, 0)] = sum[i];
        }
    }
}

extern "C" __global__ void __launch_bounds__(WARPS * WARP, 12 / WARPS) forward_local(Operands in, float* states, float* sums) {
    __shared__ LocalShared shared;
    local<false>(shared, in, in.tokens, states, sums);
}

// Against time: dL/dh that leaves a chunk towards the past.
extern "C" __global__ void __launch_bounds__(WARPS * WARP, 12 / WARPS) backward_local(Operands in, const value* gradY, float* states) {
    __shared__ LocalShared shared;
    local<true>(shared, in, gradY, states, nullptr);
}

// Replaces what leaves each chunk by what enters it; against time for adjoints.
extern "C" __global__ void carry(Operands in, float* states, const float* sums, int adjoint) {
    constexpr int AT_ONCE = 8; // reads on their way
    int k = blockIdx.x % 4, n = blockIdx.x / 4, chunks = in.grid.chunks();
    Work work(in.grid, k % 2, 0);
    float a = -exp2Fast(LOG2E * in.aLogs[((long long)k * in.grid.channels + work.channel) * N + n]), entering = 0;
    bool descending = (k >= 2) != (adjoint != 0);
    for (int first = 0; first < chunks && work.exists; first += AT_ONCE) {
        float leaving[AT_ONCE], sum[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            work.chunk = min(first + i, chunks - 1);
            work.chunk = descending ? chunks - 1 - work.chunk : work.chunk;
            leaving[i] = states[work.at(in.grid, k, 1, 0, N, n)];
            sum[i] = sums[work.at(in.grid, k, 1, 0, 1, 0)];
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            if (first + i < chunks) {
                work.chunk = descending ? chunks - 1 - first - i : first + i;
                states[work.at(in.grid, k, 1, 0, N, n)] = entering;
                entering = exp2Fast(sum[i] * a) * entering + leaving[i];
            }
        }
    }
}

struct MergedShared {
    Places places;
    Rows rows;
    Scratch scratch;
    float4 held[CHUNK / 4][WARPS * WARP]; // a result's part of the first direction; each thread has its own column

    __device__ void begin(const Operands& in, const Work& work) {
        places.fill(in.grid, work);
        rows.clear();
    }

    __device__ void read(const Operands& in, const Work& work, int k) {
        __syncthreads();
        rows.fill(in, work, places, k);
        __syncthreads();
    }

    __device__ void hold(int tile, const float x[TILE]) {
#pragma unroll
        for (int i = 0; i < TILE; i += 4) {
            held[(tile * TILE + i) / 4][threadIdx.x] = make_float4(x[i], x[i + 1], x[i + 2], x[i + 3]);
        }
    }

    __device__ void addHeld(int tile, float x[TILE]) const {
#pragma unroll
        for (int i = 0; i < TILE; i += 4) {
            float4 four = held[(tile * TILE + i) / 4][threadIdx.x];
            x[i] += four.x;
            x[i + 1] += four.y;
            x[i + 2] += four.z;
            x[i + 3] += four.w;
        }
    }

    // Both directions' sum of a tile: to `partial` on axis 0; added to it, and to skip * x, to `result` on axis 1. All
    // are this thread's channel of an image.
    __device__ void write(const Grid& grid, const Work& work, int tile, const float sum[TILE], float* partial,
            value* result, float skip, const float x[TILE]) const {
        const unsigned* tokens = places.tokens + tile * TILE;
        if (work.axis == 0) {
            forEach(work.count(tile), [&](int i) { *inToken(partial, tokens[i], grid.channels) = sum[i]; });
        } else {
            float before[TILE];
            places.gather(partial, grid, tile, before);
            forEach(work.count(tile), [&](int i) {
                store(inToken(result, tokens[i], grid.channels), sum[i] + before[i] + skip * x[i]);
            });
        }
    }
};

// The sum over all directions of the skip connection's weight.
__device__ float readSkip(const Operands& in, const Work& work) {
    float sum = 0;
    for (int k = 0; k < 4; k++) {
        sum += in.skip[k * in.grid.channels + work.channel];
    }
    return sum;
}

template <bool REVERSED>
__device__ void forwardDirection(MergedShared& shared, const Operands& in, const Work& work, const float* states,
        float* starts, float* partial, value* y) {
    int k = work.axis + (REVERSED ? 2 : 0), tiles = work.tiles();
    shared.read(in, work, k);
    StepSizes steps(in, work, k);
    float h[N], a[N], skip = readSkip(in, work);
    readA(in, work, k, a);
    for (int n = 0; n < N; n++) {
        h[n] = states[work.at(in.grid, k, 1, 0, N, n)];
    }
    starts = starts && work.exists ? starts + work.at(in.grid, k, TILES, 0, N, 0) : nullptr;
    long long start = work.start(in.grid);
#pragma unroll 1
    for (int t = 0; t < tiles; t++) {
        int tile = nth<REVERSED>(t, tiles), count = work.count(tile);
        float u[TILE], s[TILE], sum[TILE] = {};
        shared.places.gather(in.tokens + start, in.grid, tile, u);
        steps.of(shared.rows, tile, shared.scratch, s);
        clip(count, s);
#pragma unroll STATES_AT_ONCE
        for (int n = 0; n < N; n++) {
            if (starts) {
                starts[(tile * N + n) * in.grid.channels] = h[n];
            }
            float b[TILE], c[TILE];
            unpack(shared.rows.b[n], tile, b);
            unpack(shared.rows.c[n], tile, c);
#pragma unroll
            for (int j = 0; j < TILE; j++) {
                int i = nth<REVERSED>(j, TILE);
                h[n] = exp2Fast(s[i] * a[n]) * h[n] + s[i] * u[i] * b[i];
                sum[i] += h[n] * c[i];
            }
        }
        if (REVERSED) {
            shared.addHeld(tile, sum);
            shared.write(in.grid, work, tile, sum, partial + start, y + start, skip, u);
        } else {
            shared.hold(tile, sum);
        }
    }
}

// y for both directions along one axis. States are those that enter each chunk; those that enter each tile go to
// starts, (B, 4, chunks * TILES, N, D), unless that is null.
extern "C" __global__ void forward_merged(Operands in, const float* states, float* starts, float* partial, value* y,
        int axis) {
    __shared__ MergedShared shared;
    Work work(in.grid, axis, blockIdx.x);
    shared.begin(in, work);
    forwardDirection<false>(shared, in, work, states, starts, partial, y);
    forwardDirection<true>(shared, in, work, states, starts, partial, y);
}

// Sums each of TILE values over the warp's lanes. A lane gets one of the sums, and several the same.
struct LaneSums {
#ifdef TENSOR_CORES
    unsigned bytes[2]; // the lane / 4-th of all eight is that of 2.0

    __device__ LaneSums() {
        int row = threadIdx.x % WARP / 4;
        bytes[0] = row < 4 ? 0x40u << 8 * row : 0;
        bytes[1] = row < 4 ? 0 : 0x40u << 8 * (row - 4);
    }

    // Two values at once are the upper and the lower half of a matrix, (16, 4): a product with one that has a single
    // column of twos puts sums over four lanes into that column. Values lose all but 11 bits, as they would soon anyway.
    __device__ float of(const float x[TILE]) const {
        float sums[4] = {};
#pragma unroll
        for (int i = 0; i < TILE; i += 2) {
            multiplyAdd(sums, x[i], x[i + 1], __uint_as_float(__byte_perm(bytes[i / 8], 0, i / 2 % 4 << 12 | 0x444)));
        }
        int lane = threadIdx.x % WARP;
        float first = exchange(sums[0], sums[1], lane & 16, 16), second = exchange(sums[2], sums[3], lane & 16, 16);
        float sum = exchange(first, second, lane & 8, 8);
        return 0.5f * (sum + __shfl_xor_sync(0xffffffffu, sum, 4));
    }
    __device__ static bool owns() { return !(threadIdx.x & 4); }
    __device__ static int position() {
        int lane = threadIdx.x % WARP;
        return 4 * (lane % 4) + lane / 16 * 2 + lane / 8 % 2;
    }
#else
    // Halves the values at each exchange.
    __device__ float of(float x[TILE]) const {
#pragma unroll
        for (int stage = 0; stage < 4; stage++) {
            int apart = 16 >> stage, half = 8 >> stage;
#pragma unroll
            for (int i = 0; i < half; i++) {
                x[i] = exchange(x[i], x[i + half], threadIdx.x & apart, apart);
            }
        }
        return x[0] + __shfl_xor_sync(0xffffffffu, x[0], 1);
    }
    __device__ static bool owns() { return threadIdx.x % 2 == 0; }
    __device__ static int position() { return threadIdx.x % WARP / 2; }
#endif

    // Of two lanes, the upper gets the sum of `high`, the other that of `low`.
    __device__ static float exchange(float low, float high, bool upper, int apart) {
        return (upper ? high : low) + __shfl_xor_sync(0xffffffffu, upper ? low : high, apart);
    }
};

struct Gradients {
    float* partial;      // of the tokens, axis 0 only, (B, L, D)
    value* tokens;       // (B, L, D)
    value* steps;        // of x where the step size is softplus2(x), (4, B, L, D)
    float* matrices;     // of B_t and C_t, (blocks of channels, B, L, 4, 2 N)
    float* parameters;   // of A (N of them), skip and bias, (B, chunks, 4, N + 2, D)
};

template <bool REVERSED>
__device__ void backwardDirection(MergedShared& shared, const Operands& in, const Work& work, const value* gradY,
        const float* states, const float* adjoints, const Gradients& out) {
    int k = work.axis + (REVERSED ? 2 : 0), tiles = work.tiles();
    bool withSkip = work.axis == 0 && !REVERSED; // whose gradient is the same in all directions
    float* sums = shared.scratch.of[threadIdx.x / WARP];
    shared.read(in, work, k);
    StepSizes steps(in, work, k);
    LaneSums overLanes;
    float a[N], starts[TILES][N], adjoint[N], gradA[N] = {}, gradSkip = 0, gradBias = 0, skip = readSkip(in, work);
    readA(in, work, k, a);
    states += work.at(in.grid, k, KEEPS_TILES ? TILES : 1, 0, N, 0);
    for (int n = 0; n < N; n++) {
        adjoint[n] = work.exists ? adjoints[work.at(in.grid, k, 1, 0, N, n)] : 0;
        if (!KEEPS_TILES) {
            starts[0][n] = states[n * in.grid.channels];
        }
    }
    long long start = work.start(in.grid), imageStart = (long long)work.image * in.grid.length();
    long long tokens = (long long)gridDim.z * in.grid.length();
    value* gradSteps = out.steps + k * tokens * in.grid.channels + start;
#pragma unroll 1
    for (int t = 0; !KEEPS_TILES && t < tiles - 1; t++) {
        int tile = nth<REVERSED>(t, tiles);
        float u[TILE], s[TILE];
        shared.places.gather(in.tokens + start, in.grid, tile, u);
        steps.of(shared.rows, tile, shared.scratch, s);
        clip(work.count(tile), s);
#pragma unroll STATES_AT_ONCE
        for (int n = 0; n < N; n++) {
            starts[t + 1][n] = advance<REVERSED>(a[n], s, u, shared.rows.b[n], tile, starts[t][n]);
        }
    }
#pragma unroll 1
    for (int t = tiles - 1; t >= 0; t--) {
        int tile = nth<REVERSED>(t, tiles), count = work.count(tile);
        float u[TILE], g[TILE], s[TILE], fed[TILE] = {}, left[TILE] = {}; // dL/d(s u), dL/ds by the decay
        shared.places.gather(in.tokens + start, in.grid, tile, u);
        steps.of(shared.rows, tile, shared.scratch, s);
        shared.places.gather(gradY + start, in.grid, tile, g);
        clip(count, g);
        clip(count, s);
        if (withSkip) {
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                gradSkip += g[i] * u[i];
            }
        }
#pragma unroll STATES_AT_ONCE
        for (int n = 0; n < N; n++) {
            float h = KEEPS_TILES ? states[(tile * N + n) * in.grid.channels] : starts[t][n];
            float decay[TILE], decayed[TILE], b[TILE], c[TILE], gradB[TILE], gradC[TILE];
            unpack(shared.rows.b[n], tile, b);
#pragma unroll
            for (int j = 0; j < TILE; j++) {
                int i = nth<REVERSED>(j, TILE);
                decay[i] = exp2Fast(s[i] * a[n]);
                decayed[i] = decay[i] * h; // what is left of the state before
                h = decayed[i] + s[i] * u[i] * b[i];
                gradC[i] = g[i] * h;
            }
            float sumC = overLanes.of(gradC), e = adjoint[n], fromDecay = 0;
            unpack(shared.rows.c[n], tile, c);
#pragma unroll
            for (int j = TILE - 1; j >= 0; j--) {
                int i = nth<REVERSED>(j, TILE);
                e += g[i] * c[i]; // now dL/dh
                gradB[i] = s[i] * u[i] * e;
                fed[i] += b[i] * e;
                float ofExponent = decayed[i] * e;
                left[i] += LN2 * a[n] * ofExponent;
                fromDecay += s[i] * ofExponent;
                e *= decay[i];
            }
            adjoint[n] = e;
            gradA[n] += fromDecay;
            float sumB = overLanes.of(gradB);
            if (LaneSums::owns()) {
                sums[n * TILE + LaneSums::position()] = sumB;
                sums[(N + n) * TILE + LaneSums::position()] = sumC;
            }
        }
        float gradU[TILE], gradS[TILE];
#pragma unroll
        for (int i = 0; i < TILE; i++) {
            gradU[i] = s[i] * fed[i];
            gradS[i] = (u[i] * fed[i] + left[i]) * logisticOf(s[i]);
            gradBias += gradS[i];
        }
        const unsigned* at = shared.places.tokens + tile * TILE;
        forEach(count, [&](int i) { store(inToken(gradSteps, at[i], in.grid.channels), gradS[i]); });
        if (REVERSED) {
            shared.addHeld(tile, gradU);
            shared.write(in.grid, work, tile, gradU, out.partial + start, out.tokens + start, skip, g);
        } else {
            shared.hold(tile, gradU);
        }
        __syncthreads();
        for (int i = threadIdx.x; i < 2 * N * min(TILE, work.length - tile * TILE); i += blockDim.x) {
            int row = i % (2 * N), position = i / (2 * N);
            float sum = 0;
#pragma unroll
            for (int w = 0; w < WARPS; w++) {
                sum += w * WARP < blockDim.x ? shared.scratch.of[w][row * TILE + position] : 0;
            }
            long long token = blockIdx.y * tokens + imageStart + shared.places.tokens[tile * TILE + position];
            out.matrices[(token * 4 + k) * (2 * N) + row] = row < N ? LN2 * sum : sum;
        }
        __syncthreads();
    }
    if (work.exists) {
        int channels = in.grid.channels, rows = (N + 2) * channels;
        float* to = out.parameters + ((long long)work.image * in.grid.chunks() + work.chunk) * 4 * rows + work.channel;
        for (int n = 0; n < N; n++) {
            to[k * rows + n * channels] = LN2 * gradA[n];
        }
        to[k * rows + (N + 1) * channels] = LOG2E * gradBias;
        for (int all = 0; all < 4 && withSkip; all++) {
            to[all * rows + N * channels] = gradSkip;
        }
    }
}

// All gradients for both directions along one axis. States are those that enter each tile, or, if there are too many
// of them to be kept, each chunk; adjoints those that enter each chunk from the future.
extern "C" __global__ void __launch_bounds__(WARPS * WARP, 12 / WARPS) backward_merged(Operands in, const value* gradY, const float* states,
        const float* adjoints, Gradients out, int axis) {
    __shared__ MergedShared shared;
    Work work(in.grid, axis, blockIdx.x);
    shared.begin(in, work);
    backwardDirection<false>(shared, in, work, gradY, states, adjoints, out);
    backwardDirection<true>(shared, in, work, gradY, states, adjoints, out);
}

// The passes over the chunks that forward and backward have in common.
//
// What crosses a chunk's border is handled in three passes:
//
//   local    every chunk by itself, from a state of zero: its last state, and the sum of its step sizes
//   carry    along the chunks: the state that enters each; a chunk multiplies it by exp(A * sum of step sizes)
//   merged   every chunk again, from the right state, writing results
//
// and alike against time for the gradients. `merged` is launched for axis 0, which leaves the sum of its two directions
// as float32, and then for axis 1, which adds its own and writes the result. Between the two directions of a block
// the sum stays in shared memory, unless there are many states.
//
// With many states the arithmetic of `local` costs more than that sum's way to memory and back. If images and channels
// suffice to keep a GPU busy, `merged` is then launched once, for both axes: a block goes through all chunks of one, first
// in one direction, then in the other. `join` adds what the axes leave.

#include "step_size.cuh"

// W_dt and its bias, (4, D, R) and (4, D), as the other kernels read them.
extern "C" __global__ void prepare(const float* weight, const float* bias, value* dtWeight, float* dtBias,
        int channels) {
    int i = blockIdx.x * blockDim.x + threadIdx.x, channel = i / RANK, r = i % RANK;
    if (channel < 4 * channels) {
        store(dtWeight + i, r < R ? LOG2E * weight[channel * R + r] : 0);
        if (r == 0) {
            dtBias[channel] = LOG2E * bias[channel];
        }
    }
}

// A of a thread's channel in one direction.
template <typename Numbers>
__device__ void readA(const Operands& in, const Work& work, int k, Numbers& a) {
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
    alignas(16) float scratch[WARPS][TILE * WARP];
};
static_assert(sizeof(LocalShared) <= MOST_SHARED_BYTES, "as CudaScan has it");

// A tile of one direction. Tiles come by position. If that is against the direction, the tile's contribution still has
// to go through all tiles before, whose step sizes add up to `sum`.
template <bool REVERSED, bool ADJOINT>
__device__ void localTile(const Rows& rows, const StepSizes& steps, const float a[N], int tile, int count,
        const float x[TILE], float* scratch, float state[N], float& sum) {
    constexpr bool AGAINST = REVERSED != ADJOINT;
    float s[TILE];
    steps.of(rows, tile, scratch, s);
    clip(count, s);
#pragma unroll
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
    float* scratch = shared.scratch[threadIdx.x / WARP];
#pragma unroll 1
    for (int tile = 0; tile < work.tiles(); tile++) {
        int count = work.count(tile);
        float x[TILE];
        shared.places.gather(from, in.grid, tile, x);
        clip(count, x);
        localTile<false, ADJOINT>(shared.rows[0], ahead, a[0], tile, count, x, scratch, state[0], sum[0]);
        localTile<true, ADJOINT>(shared.rows[1], back, a[1], tile, count, x, scratch, state[1], sum[1]);
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

// Replaces what leaves each chunk by what enters it; against time for adjoints.
extern "C" __global__ void carry(Operands in, float* states, const float* sums, int adjoint) {
    constexpr int AT_ONCE = 16; // reads on their way
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

// The first direction's part of a result. Each thread has its own column.
struct Held {
    float4 tokens[CHUNK / 4][WARPS * WARP];

    __device__ void hold(int tile, const float x[TILE]) {
#pragma unroll
        for (int i = 0; i < TILE; i += 4) {
            tokens[(tile * TILE + i) / 4][threadIdx.x] = make_float4(x[i], x[i + 1], x[i + 2], x[i + 3]);
        }
    }

    __device__ void addTo(int tile, float x[TILE]) const {
#pragma unroll
        for (int i = 0; i < TILE; i += 4) {
            float4 four = tokens[(tile * TILE + i) / 4][threadIdx.x];
            x[i] += four.x;
            x[i + 1] += four.y;
            x[i + 2] += four.z;
            x[i + 3] += four.w;
        }
    }
};

// A block of `merged`: one chunk of an axis, or, if that is BOTH_AXES, all of either.
struct Part : Work {
    bool whole;
    int chunks;

    __device__ Part(const Grid& grid, int axis)
        : Work(grid, axis == BOTH_AXES ? blockIdx.x : axis, axis == BOTH_AXES ? 0 : blockIdx.x),
          whole(MANY_STATES && axis == BOTH_AXES), chunks(whole ? grid.chunks() : 1) {}

    // Index of it in (B, parts of an axis).
    __device__ long long index() const { return whole ? image : (long long)image * gridDim.x + chunk; }

    // Where this thread's channel begins in what axis 0, or each axis, leaves, (B, L, D) or (2, B, L, D).
    __device__ long long partialStart(const Grid& grid) const {
        return start(grid) + (whole ? (long long)axis * gridDim.z * grid.length() * grid.channels : 0);
    }
};

// `SCRATCH` values for each warp.
template <int SCRATCH>
struct MergedShared {
    Places places;
    Rows rows;
    alignas(16) float scratch[WARPS][SCRATCH];
#if !MANY_STATES
    Held held;
#endif

    __device__ void begin(const Operands& in, const Work& work) {
        places.fill(in.grid, work);
        rows.clear();
    }

    // Tables of a chunk, the one that `places` are of unless `moved`.
    __device__ void read(const Operands& in, const Work& work, int k, bool moved) {
        __syncthreads();
        if (moved) {
            places.fill(in.grid, work);
            __syncthreads();
        }
        rows.fill(in, work, places, k);
        __syncthreads();
    }

    // A direction's part of a tile, for this thread's channel of an image. All but the last are held or go to `partial`.
    template <bool REVERSED>
    __device__ void write(const Grid& grid, const Part& part, int tile, float sum[TILE], float* partial, value* result,
            float skip, const float x[TILE]) {
#if !MANY_STATES
        if (!REVERSED) {
            held.hold(tile, sum);
            return;
        }
        held.addTo(tile, sum);
#endif
        bool lastAxis = part.axis == 1 && !part.whole;
        if (lastAxis || MANY_STATES && REVERSED) {
            float before[TILE];
            places.gather(partial, grid, tile, before);
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                sum[i] += before[i];
            }
        }
        const unsigned* at = places.tokens + tile * TILE;
        if (lastAxis && REVERSED) {
            forEach(part.count(tile), [&](int i) { store(inToken(result, at[i], grid.channels), sum[i] + skip * x[i]); });
        } else {
            forEach(part.count(tile), [&](int i) { *inToken(partial, at[i], grid.channels) = sum[i]; });
        }
    }
};

// The sum over all directions of the skip connection's weight.
__device__ float readSkip(const Operands& in, int channel) {
    float sum = 0;
    for (int k = 0; k < 4; k++) {
        sum += in.skip[k * in.grid.channels + channel];
    }
    return sum;
}

// What both axes left, (2, B, L, D), and skip * x.
extern "C" __global__ void join(Operands in, const float* partial, const value* x, value* result) {
    int perImage = in.grid.length() * in.grid.channels, i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < perImage) {
        float skip = readSkip(in, i % in.grid.channels);
        long long at = (long long)blockIdx.z * perImage + i;
        store(result + at, partial[at] + partial[(long long)gridDim.z * perImage + at] + skip * load(x + at));
    }
}

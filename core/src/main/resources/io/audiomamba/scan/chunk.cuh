// What a block of the scan's kernels works on, and how it gets there: a chunk of tokens of one image, and up to
// 32 WARPS channels.
//
// Compiled at run time, behind numbers.cuh, with CHUNK and TILES (tokens of a chunk, and its tiles), WARPS (of a block, at
// most), N (states), R (rank of the step size), TYPE (0 float32, 1 bfloat16, 2 float16), MANY_STATES (whether they are),
// TENSOR_CORES (whether to multiply by them) and FUSED (whether to do so for the gradients of the step sizes' projection)
// defined; and BOTH_AXES.

constexpr int TILE = CHUNK / TILES;
constexpr int ROW = R + 2 * N;
constexpr int WARP = 32;
constexpr int RANK = TENSOR_CORES ? (R + 15) / 16 * 16 : R; // as W_dt lies in memory

typedef Type<TYPE>::of value;

// What the gradient holds of each state: A, its gradient, and the adjoint. With many states that is in shared memory, not
// in registers, and half a result waits in global memory instead.
constexpr int OWN = 3;

constexpr int MOST_SHARED_BYTES = 48 * 1024; // that a kernel can declare: CudaScan chooses CHUNK and WARPS for it
constexpr int LOW_RANK = !FUSED ? 0 : R > 24 ? R : 24; // rows of sums before those of B and C
constexpr int SCRATCH = TILE * (LOW_RANK + 2 * N > WARP ? LOW_RANK + 2 * N : WARP); // of a warp

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

    // In `chunk` at first.
    __device__ Work(const Grid& grid, int axis, int chunk) : axis(axis), image(blockIdx.z) {
        channel = blockIdx.y * blockDim.x + threadIdx.x;
        exists = channel < grid.channels;
        channel = min(channel, grid.channels - 1);
        enter(grid, chunk);
    }
    __device__ void enter(const Grid& grid, int next) {
        chunk = next;
        length = min(CHUNK, grid.length() - chunk * CHUNK);
    }
    __device__ int tiles() const { return (length + TILE - 1) / TILE; }
    // So many positions of a tile are this thread's to store.
    __device__ int count(int tile) const { return exists ? min(TILE, length - tile * TILE) : 0; }
    // Where this thread's channel of the image begins in (B, L, D).
    __device__ long long start(const Grid& grid) const { return imageStart(grid) + channel; }
    __device__ long long imageStart(const Grid& grid) const {
        return (long long)image * grid.length() * grid.channels;
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

// The projections of a chunk in one direction, by position.
struct alignas(16) Rows {
#if TENSOR_CORES
    value steps[CHUNK][RANK + 8]; // 8 more, so that the rows of a tile begin in different banks
#else
    float steps[R][CHUNK];
#endif
    float b[N][CHUNK]; // times ln 2
    float c[N][CHUNK];

    __device__ void clear() {
#if TENSOR_CORES
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
#if TENSOR_CORES
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

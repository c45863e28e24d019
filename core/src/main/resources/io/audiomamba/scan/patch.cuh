// The scan of images that can be cut into patches of 16 rows and 8 columns of tokens, in types of 16 bits, with one state
// a channel and an even rank. docs/cuda-scan.md explains it.
//
// In any of the four directions a patch is 16 lines of 8 tokens. A warp works on the 16 lines and 8 channels at a time: as
// the product of projections (16 lines, INNER) and weights (INNER, 8 channels) leaves tensor cores, a lane holds lines
// `group` and `group` + 8 and channels 2 `quad` and 2 `quad` + 1. Everything is computed where it is in that product.
//
// Compiled at run time, behind numbers.cuh, with R (rank of the step size), TYPE (1 bfloat16, 2 float16), SHARED_BYTES (what
// a block of the patches' kernels has in shared memory) and BORDER_CHANNELS (of a block in borders.cuh) defined; N = 1, and
// FUSED: 0 if gradients of step sizes are written, see `Gradients::steps`.

typedef Type<TYPE>::of value;

#include "softplus.cuh"
#include "tensor_cores.cuh"

constexpr int WARP = 32;
constexpr int DIRECTIONS = 4;
constexpr int STEPS = 8;  // tokens of a line
constexpr int LINES = 16; // of a patch in one direction
constexpr int ROWS = 16, COLUMNS = 8; // of tokens of a patch
constexpr int ROW = R + 2; // values of a token's projection in one direction: low rank, B and C
constexpr int INNER = ROW <= 8 ? 8 : (ROW + 15) / 16 * 16; // and as tensor cores want it
constexpr int CHANNELS = 32; // that a block has in shared memory
constexpr int EIGHTS = CHANNELS / 8;

// A lane's part of B and C lies in this tile of 8 columns, in the lanes of this quad.
constexpr int MATRICES_TILE = R / 8, MATRICES_QUAD = R % 8 / 2;
constexpr unsigned ONES = TYPE == 1 ? 0x3f803f80u : 0x3c003c00u;

extern __shared__ uint4 dynamic[]; // as much as a launch asks for

// What is prepared of a channel in one direction, and of 8 channels. Where LibTorch multiplies by the weights, in whole vectors.
struct alignas(FUSED ? 4 : 16) OfChannel {
    value weights[INNER]; // W_dt and its bias in two parts, times log2(e); zeros
    float a;
};
struct alignas(16) OfEight {
    OfChannel channels[8];
#if FUSED
    value across[INNER][8]; // W_dt the other way round, times log2(e); zeros
#endif
};

struct Operands {
    const value* tokens;      // (B, L, D)
    const value* projections; // (B, L, 4, R + 2)
    const OfEight* eights;    // (4, D / 8)
    const float* skip;        // (D), the sum over directions
    int* bordersDone;         // (B), blocks that have found what enters the lines of an image
    int height, width, channels;

    __device__ const OfEight& eightOf(int k, int channel) const { return eights[(unsigned)(k * channels + channel) / 8]; }
    __device__ int length() const { return height * width; }
    __device__ int lines() const { return length() / STEPS; }
    __device__ int patches() const { return length() / (ROWS * COLUMNS); }

    // Waits for what enters the lines of an image, which is there before the borders' kernel ends.
    __device__ void awaitBorders(int image) const { awaitBlocks(bordersDone + image, channels / BORDER_CHANNELS * DIRECTIONS); }
};

// What `Operands` hold of the parameters W_dt (4, D, R), its bias, log(-A) and the skip connection's weight, (4, D). `across` is
// of use to the gradient only.
extern "C" __global__ void prepare(const float* weight, const float* bias, const float* aLogs, const float* skip,
        OfEight* eights, float* skipSum, int* bordersDone, int channels, int images) {
    awaitPrevious();
    letNextBegin(); // what comes next may read what earlier kernels left
    int index = blockIdx.x * blockDim.x + threadIdx.x, all = DIRECTIONS * channels;
    if (index < images) {
        bordersDone[index] = 0;
    }
    int channel = index % all, r = index / all; // neighbouring threads neighbouring channels, each a number of one
    if (r >= INNER) {
        return;
    }
    OfEight& eight = eights[channel / 8];
    float w = r < R ? LOG2E * weight[channel * R + r] : 0;
#if FUSED
    store(&eight.across[r][channel % 8], w);
#endif
    if (r == R || r == R + 1) {
        value rounded;
        w = LOG2E * bias[channel];
        store(&rounded, w);
        w -= r == R ? 0 : load(&rounded);
    }
    store(&eight.channels[channel % 8].weights[r], w);
    if (r == 0) {
        eight.channels[channel % 8].a = -exp2Fast(LOG2E * aLogs[channel]);
    }
    if (r == 1 && channel < channels) {
        float sum = 0;
        for (int k = channel; k < all; k += channels) {
            sum += skip[k];
        }
        skipSum[channel] = sum;
    }
}

// x of a lane's two lines and two channels, where the step size is softplus2(x).
__device__ void project(const unsigned rows[INNER / 4], const unsigned w[INNER / 8], float x[4]) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        x[i] = 0;
    }
#if R + 2 <= 8
    multiplyAdd(x, rows[0], rows[1], w[0]);
#else
#pragma unroll
    for (int i = 0; i < INNER / 16; i++) {
        multiplyAdd(x, rows + 4 * i, w[2 * i], w[2 * i + 1]);
    }
#endif
}

struct alignas(16) Eight {
    value of[8];
};

// Projections of each step of lines, as the rows of products.
struct alignas(16) Rows {
    static constexpr int VECTORS = INNER / 8, LINE = STEPS * VECTORS + 1; // one more, to keep lines in different banks
    Eight of[LINES * LINE];

    __device__ Eight* at(int line, int step) { return of + line * LINE + step * VECTORS; }

    // A lane's part of the rows of steps 2 pair and 2 pair + 1.
    __device__ void read(int pair, unsigned rows[2][INNER / 4]) const {
        int lane = threadIdx.x % WARP;
#if R + 2 <= 8
        unsigned both[4];
        loadMatrices(both, of[lane % 16 * LINE + 2 * pair + lane / 16].of);
        rows[0][0] = both[0];
        rows[0][1] = both[1];
        rows[1][0] = both[2];
        rows[1][1] = both[3];
#else
#pragma unroll
        for (int i = 0; i < 2; i++) {
#pragma unroll
            for (int half = 0; half < INNER / 16; half++) {
                int vector = (2 * pair + i) * VECTORS + 2 * half + lane / 16;
                loadMatrices(rows[i] + 4 * half, of[lane % 16 * LINE + vector].of);
            }
        }
#endif
    }

    // A lane's part of the transpose of step 2 pair + i, (16, 16 lines); if INNER is 8, of both steps one below the other.
    __device__ void readTransposed(int pair, int i, unsigned rows[4]) const {
        int lane = threadIdx.x % WARP, vector = lane / 8 % 2;
        int at = INNER == 8 ? 2 * pair + vector : (2 * pair + i) * VECTORS + vector;
        loadTransposed(rows, of[(lane % 8 + lane / 16 * 8) * LINE + at].of);
    }
};

// In shared memory a row of a patch's tokens is one longer than it is, so that lanes which read lines along rows or along
// columns are in different banks.
constexpr int PITCH = COLUMNS + 1;
constexpr int SLOTS = ROWS * PITCH;
constexpr int SECOND = 8 * PITCH; // from a lane's first line to its second, in slots, along rows as along columns

// 8 channels of a patch's tokens; a little longer, so that four neighbours lie in different banks.
typedef Eight Slab[SLOTS + 2];

// Float32 sums for them: of the first 4 channels, and behind those of the others; both a little longer, for the same reason.
struct Sums {
    static constexpr int HALF = SLOTS + 4;
    float4 of[2 * HALF + 2];

    // Those of a lane's two channels.
    __device__ float2* at(int slot) {
        int quad = threadIdx.x % 4;
        return (float2*)(of + quad / 2 * HALF + slot) + quad % 2;
    }
};

// Tokens of a patch of which a thread moves 8 channels between memories: neighbouring threads neighbouring channels, so that
// they move whole sectors of memory.
constexpr int MOVED = ROWS * COLUMNS * EIGHTS / (DIRECTIONS * WARP);

// A patch's place.
struct Patch {
    int image, row, column;

    // Of a block where the grid is of patches: columns, rows, images.
    __device__ Patch() : image(blockIdx.z), row(blockIdx.y * ROWS), column(blockIdx.x * COLUMNS) {}

    // By number.
    __device__ Patch(const Operands& in, unsigned index) {
        unsigned perImage = in.patches(), perRow = in.width / COLUMNS, ofImage = index % perImage;
        image = index / perImage;
        row = ofImage / perRow * ROWS;
        column = ofImage % perRow * COLUMNS;
    }

    // The token at a step of a line in direction k.
    __device__ long long token(const Operands& in, int k, int line, int step) const {
        int along = k >= 2 ? STEPS - 1 - step : step;
        int r = k % 2 ? line / COLUMNS * STEPS + along : line, c = k % 2 ? line % COLUMNS : along;
        return (long long)image * in.length() + (row + r) * in.width + column + c;
    }

    // Where states of a line, numbered along the axis of direction k, begin in (B, 4, lines, D).
    __device__ long long states(const Operands& in, int k, int line) const {
        int at = k % 2 ? (column + line % COLUMNS) * (in.height / STEPS) + row / STEPS + line / COLUMNS
                       : (row + line) * (in.width / STEPS) + column / STEPS;
        return ((long long)(image * DIRECTIONS + k) * in.lines() + at) * in.channels;
    }

    // A thread's own eight of CHANNELS channels, and where its tokens are in shared memory.
    __device__ static int ownEight() { return threadIdx.x % EIGHTS; }
    __device__ static int ownSlot(int i) {
        int token = threadIdx.x / EIGHTS;
        return (token / COLUMNS + i * (ROWS / MOVED)) * PITCH + token % COLUMNS;
    }

    // Where a thread's own channels of its first token are in a tensor like `in.tokens`, and how far it is to the next token.
    __device__ int own(const Operands& in) const {
        int token = threadIdx.x / EIGHTS;
        return (image * in.length() + (row + token / COLUMNS) * in.width + column + token % COLUMNS) * in.channels
                + 8 * ownEight();
    }
    __device__ static int toNextOwn(const Operands& in) { return ROWS / MOVED * in.width * in.channels; }

    // Begins to copy a thread's own channels of its i-th token, which are at `from`; or of all.
    __device__ static void fetch(int i, const value* from, Slab slabs[EIGHTS]) {
        copyLater(&slabs[ownEight()][ownSlot(i)], from);
    }
    __device__ static void fetch(const Operands& in, const value* own, Slab slabs[EIGHTS]) {
#pragma unroll
        for (int i = 0; i < MOVED; i++) {
            fetch(i, own + i * toNextOwn(in), slabs);
        }
    }
};

// A sum and what the skip connection makes of two pairs of values.
__device__ float4 withSkip(float4 sum, float4 weights, unsigned first, unsigned last) {
    return make_float4(sum.x + weights.x * low(first), sum.y + weights.y * high(first), sum.z + weights.z * low(last),
            sum.w + weights.w * high(last));
}

// Stores, at `own`, a thread's own channels of its tokens, when all threads of the block have come here: sums, and what the
// skip connection, whose weights begin at `skip`, makes of values.
__device__ void deliverTokens(const Operands& in, Sums sums[EIGHTS], const Slab values[EIGHTS], const float* skip, value* own) {
    int eight = Patch::ownEight();
    float4 first = readNow(skip + 8 * eight), last = readNow(skip + 8 * eight + 4), found[MOVED][2];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < MOVED; i++) {
        const float4* sum = sums[eight].of + Patch::ownSlot(i);
        uint4 x = *(const uint4*)&values[eight][Patch::ownSlot(i)];
        found[i][0] = withSkip(sum[0], first, x.x, x.y);
        found[i][1] = withSkip(sum[Sums::HALF], last, x.z, x.w);
    }
#pragma unroll
    for (int i = 0; i < MOVED; i++) { // behind all that is read: loads do not overtake stores
        float4 a = found[i][0], b = found[i][1];
        *(uint4*)(own + i * Patch::toNextOwn(in)) =
                make_uint4(packed(a.x, a.y), packed(a.z, a.w), packed(b.x, b.y), packed(b.z, b.w));
    }
}

// Where a lane finds its first line of a patch in direction k, if tokens of a row are `width` apart, and rows `pitch`.
struct Walk {
    int start, step;

    __device__ Walk(int k, int group, int pitch, int width = 1)
        : start(k % 2 ? width * group + (k >= 2 ? (STEPS - 1) * pitch : 0) : pitch * group + (k >= 2 ? (STEPS - 1) * width : 0)),
          step((k % 2 ? pitch : width) * (k >= 2 ? -1 : 1)) {}
};

// A patch's projections in one direction.
struct alignas(16) Table {
    Rows rows;                         // the low rank; 1 twice, for the bias; zeros
    float4 matrices[STEPS / 2][LINES + 1]; // B, and ln(2) C, of two steps; one more, to keep steps in different banks

    // Each lane brings one word of the row of each line, at TIMES steps.
    static constexpr int WORDS = INNER / 2, TIMES = STEPS * WORDS / WARP;
    __device__ static int word() { return threadIdx.x % WARP % WORDS; }
    __device__ static int step(int time) { return time * (WARP / WORDS) + threadIdx.x % WARP / WORDS; }

    struct Brought {
        unsigned words[TIMES][LINES];

        __device__ void read(const Operands& in, const Patch& patch, int k) {
            constexpr int TOKEN = DIRECTIONS * ROW / 2;
            int toNext = (k % 2 ? 1 : in.width) * TOKEN, toNinth = 8 * in.width * TOKEN;
#pragma unroll
            for (int time = 0; time < TIMES; time++) {
                long long row = patch.token(in, k, 0, step(time)) * DIRECTIONS + k;
                const unsigned* from = (const unsigned*)(in.projections + row * ROW) + word();
#pragma unroll
                for (int line = 0; line < LINES; line++) {
                    words[time][line] = word() < ROW / 2 ? __ldg(from + line % 8 * toNext + line / 8 * toNinth) : 0;
                }
            }
        }
    };

    // By one warp.
    __device__ void fill(const Brought& brought) {
#pragma unroll
        for (int time = 0; time < TIMES; time++) {
#pragma unroll
            for (int line = 0; line < LINES; line++) {
                unsigned x = brought.words[time][line];
                if (word() == R / 2) {
                    float2* of = (float2*)&matrices[step(time) / 2][line] + step(time) % 2;
                    *of = make_float2(low(x), LN2 * high(x));
                    x = ONES;
                }
                ((unsigned*)rows.at(line, step(time)))[word()] = x;
            }
        }
        __syncwarp();
    }

    // B and ln(2) C of a line's steps 2 pair and 2 pair + 1.
    __device__ float4 matricesOf(int line, int pair) const { return matrices[pair][line]; }
};

// A lane's part, of both its lines, of what enters a warp's lines in 8 channels.
__device__ inline void readEntering(const float lines[LINES * 8], float x[4]) {
    const float2* own = (const float2*)lines + threadIdx.x % WARP;
    x[0] = own[0].x, x[1] = own[0].y, x[2] = own[WARP].x, x[3] = own[WARP].y;
}

// UNCHANGING is for what no kernel writes that this one overlaps: such reads may be moved before the wait for it.
template <bool UNCHANGING, typename T>
__device__ T read(const T* from) { return UNCHANGING ? __ldg(from) : *from; }

// A lane's part of a channel's weights.
template <bool UNCHANGING>
__device__ void readWeights(const OfChannel& channel, unsigned w[INNER / 8]) {
#pragma unroll
    for (int tile = 0; tile < INNER / 8; tile++) {
        w[tile] = read<UNCHANGING>((const unsigned*)channel.weights + 4 * tile + threadIdx.x % 4);
    }
}

// What a lane needs of 8 channels in a direction, for its two.
struct Channels {
    float2 a;
    unsigned weights[INNER / 8];

    template <bool UNCHANGING>
    __device__ void readFrom(const OfChannel channels[8]) {
        int group = threadIdx.x % WARP / 4, quad = threadIdx.x % 4;
        a = make_float2(read<UNCHANGING>(&channels[2 * quad].a), read<UNCHANGING>(&channels[2 * quad + 1].a));
        readWeights<UNCHANGING>(channels[group], weights);
    }
};

// A warp begins to copy whole vectors.
template <int BYTES>
__device__ void copyByWarp(void* to, const void* from) {
    constexpr int VECTORS = BYTES / 16;
    int lane = threadIdx.x % WARP;
#pragma unroll
    for (int i = 0; i < VECTORS; i += WARP) {
        if (i + WARP <= VECTORS || i + lane < VECTORS) {
            copyLater((uint4*)to + i + lane, (const uint4*)from + i + lane);
        }
    }
}

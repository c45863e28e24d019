// Layer normalisation of rows of C values (CHANNELS), and its gradient: io.audiomamba.fused.FusedLayerNorm launches
// these kernels, compiled with CHANNELS, EPSILON, IN and OUT (types of x and y) and SHIFTED (whether a shift is added to
// each row first) defined.
//
// A group of LANES neighbouring lanes holds a row in registers, so memory is read once and written once; the gradient
// computes mean and deviation anew instead of keeping them. Rows are dealt to warps in turn.

constexpr int C = CHANNELS;
constexpr int V = C % 8 == 0 ? 8 : C % 4 == 0 ? 4 : C % 2 == 0 ? 2 : 1; // neighbours that a lane holds
constexpr int VECTORS = C / V;
constexpr int LANES = VECTORS > 16 ? 32 : VECTORS > 8 ? 16 : VECTORS > 4 ? 8 : 4;
constexpr int PARTS = (VECTORS + LANES - 1) / LANES;
constexpr int ROWS = 32 / LANES; // rows in the hands of a warp

typedef Type<IN>::of In;
typedef Type<OUT>::of Out;

// Which rows a lane works on. All lanes of a warp go through the same number of turns, some of them without a row.
struct Turn {
    int lane = threadIdx.x % LANES;
    long long row, rows, step;
    __device__ Turn(int rows) : rows(rows) {
        long long warp = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / 32;
        row = warp * ROWS + threadIdx.x % 32 / LANES;
        step = (long long)gridDim.x * blockDim.x / 32 * ROWS;
    }
    __device__ bool more() const { return row - threadIdx.x % 32 / LANES < rows; }
    __device__ bool holds(int part) const { return row < rows && part * LANES + lane < VECTORS; }
    __device__ int channel(int part) const { return (part * LANES + lane) * V; }
    __device__ long long at(int part) const { return row * C + channel(part); }
};

struct Row {
    float x[PARTS][V];

    template <typename T>
    __device__ void read(const T* from, const Turn& turn) {
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
            if (turn.holds(p)) {
                load<V>(from + turn.at(p), x[p]);
            } else {
                for (int v = 0; v < V; v++) {
                    x[p][v] = 0;
                }
            }
        }
    }

    __device__ void readParameter(const float* from, const Turn& turn) {
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
            for (int v = 0; v < V; v++) {
                x[p][v] = p * LANES + turn.lane < VECTORS ? from[turn.channel(p) + v] : 0;
            }
        }
    }

    template <typename T>
    __device__ void write(T* to, const Turn& turn) const {
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
            if (turn.holds(p)) {
                store<V>(to + turn.at(p), x[p]);
            }
        }
    }
};

// The mean over a row of what `term` gives at each place that there is.
template <typename Term>
__device__ float mean(const Turn& turn, Term term) {
    float sum = 0;
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        if (p * LANES + turn.lane < VECTORS) {
#pragma unroll
            for (int v = 0; v < V; v++) {
                sum += term(p, v);
            }
        }
    }
#pragma unroll
    for (int apart = LANES / 2; apart > 0; apart /= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, apart);
    }
    return sum * (1.f / C);
}

// The rows' sums with a shift, where there is one.
struct Shift {
    Row shift;
    __device__ Shift(const float* from, const Turn& turn) {
        if (SHIFTED) {
            shift.readParameter(from, turn);
        }
    }
    __device__ void addTo(Row& row) const {
#pragma unroll
        for (int p = 0; p < PARTS && SHIFTED; p++) {
#pragma unroll
            for (int v = 0; v < V; v++) {
                row.x[p][v] += shift.x[p][v];
            }
        }
    }
};

// Makes of x its normalised form; returns the reciprocal of its deviation.
__device__ float normalise(Row& row, const Turn& turn) {
    float middle = mean(turn, [&](int p, int v) { return row.x[p][v]; });
    float variance = mean(turn, [&](int p, int v) {
        float distance = row.x[p][v] - middle;
        return distance * distance;
    });
    float scale = rsqrtf(variance + EPSILON);
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
#pragma unroll
        for (int v = 0; v < V; v++) {
            row.x[p][v] = (row.x[p][v] - middle) * scale;
        }
    }
    return scale;
}

extern "C" __global__ void forward(const In* x, const float* shift, const float* weight, const float* bias, Out* y,
        int rows) {
    Turn turn(rows);
    Shift shifted(shift, turn);
    Row w, b;
    w.readParameter(weight, turn);
    b.readParameter(bias, turn);
    for (; turn.more(); turn.row += turn.step) {
        Row row;
        row.read(x, turn);
        shifted.addTo(row);
        normalise(row, turn);
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
#pragma unroll
            for (int v = 0; v < V; v++) {
                row.x[p][v] = row.x[p][v] * w.x[p][v] + b.x[p][v];
            }
        }
        row.write(y, turn);
    }
}

// parameters: (blocks, 2 or 3, C), each block's sums of the gradients of weight, bias and shift.
extern "C" __global__ void backward(const In* x, const float* shift, const float* weight, const Out* gradY, In* gradX,
        float* parameters, int rows) {
    constexpr int PARAMETERS = SHIFTED ? 3 : 2;
    Turn turn(rows);
    Shift shifted(shift, turn);
    Row w, gradients[PARAMETERS] = {};
    w.readParameter(weight, turn);
    for (; turn.more(); turn.row += turn.step) {
        Row row, g;
        row.read(x, turn);
        g.read(gradY, turn);
        shifted.addTo(row);
        float scale = normalise(row, turn);
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
#pragma unroll
            for (int v = 0; v < V; v++) {
                gradients[0].x[p][v] += g.x[p][v] * row.x[p][v];
                gradients[1].x[p][v] += g.x[p][v];
                g.x[p][v] *= w.x[p][v];
            }
        }
        float along = mean(turn, [&](int p, int v) { return g.x[p][v]; });
        float across = mean(turn, [&](int p, int v) { return g.x[p][v] * row.x[p][v]; });
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
#pragma unroll
            for (int v = 0; v < V; v++) {
                g.x[p][v] = scale * (g.x[p][v] - along - row.x[p][v] * across);
                if (SHIFTED && turn.holds(p)) {
                    gradients[PARAMETERS - 1].x[p][v] += g.x[p][v];
                }
            }
        }
        g.write(gradX, turn);
    }
    __shared__ float sums[PARAMETERS][C];
    for (int group = 0; group < blockDim.x / LANES; group++) { // one after the other: the same sum in every run
        if (threadIdx.x / LANES == group) {
#pragma unroll
            for (int p = 0; p < PARTS; p++) {
                for (int v = 0; v < V && p * LANES + turn.lane < VECTORS; v++) {
                    for (int i = 0; i < PARAMETERS; i++) {
                        float* at = &sums[i][turn.channel(p) + v];
                        *at = group == 0 ? gradients[i].x[p][v] : *at + gradients[i].x[p][v];
                    }
                }
            }
        }
        __syncthreads();
    }
    for (int i = threadIdx.x; i < PARAMETERS * C; i += blockDim.x) {
        parameters[(long long)blockIdx.x * PARAMETERS * C + i] = sums[0][i];
    }
}

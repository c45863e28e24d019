// SiLU(3 x 3 depthwise convolution), channels last, and its gradient: io.audiomamba.fused.DepthwiseSilu launches these
// kernels, compiled with CHANNELS and TYPE defined.
//
// A lane holds V channels; a warp works through strips of STRIP neighbouring tokens of a row, keeping the three columns
// of the window in registers: each token is read three times instead of nine, twice of these from the cache.

constexpr int C = CHANNELS;
constexpr int V = C % 2 == 0 ? 2 : 1;
constexpr int STRIP = 8;
constexpr int WARPS = 8; // of a block
constexpr int TAPS = 9;

typedef Type<TYPE>::of value;

struct Grid {
    int images, height, width;
    int stride; // between neighbouring tokens of the input
    __device__ int strips() const { return (width + STRIP - 1) / STRIP; }
    __device__ long long items() const { return (long long)images * height * strips(); }
};

// One strip: where it is, and its window's columns in registers.
struct Strip {
    const Grid& grid;
    int x, y;
    long long row; // the first token of the row

    __device__ Strip(const Grid& grid, long long item) : grid(grid) {
        x = item % grid.strips() * STRIP;
        long long line = item / grid.strips();
        y = line % grid.height;
        row = line * grid.width;
    }

    __device__ void column(const value* from, int at, float values[3][V]) const {
#pragma unroll
        for (int dy = 0; dy < 3; dy++) {
            int line = y + dy - 1;
            if (at >= 0 && at < grid.width && line >= 0 && line < grid.height) {
                load<V>(from + (row + (dy - 1) * (long long)grid.width + at) * grid.stride, values[dy]);
            } else {
                for (int v = 0; v < V; v++) {
                    values[dy][v] = 0;
                }
            }
        }
    }
};

__device__ float logistic(float x) { return 1 / (1 + exp2Fast(-LOG2E * x)); }

// weight: (C, 9). `bias` may be null. With `transposed` the window is turned by half and nothing is activated: the
// gradient of the convolution's input from that of its output.
extern "C" __global__ void convolve(const value* input, const float* weight, const float* bias, value* output,
        Grid grid, int transposed) {
    int c = (blockIdx.y * 32 + threadIdx.x % 32) * V;
    long long item = (long long)blockIdx.x * WARPS + threadIdx.x / 32;
    if (c >= C || item >= grid.items()) {
        return;
    }
    float taps[TAPS][V], shift[V], window[3][3][V];
    for (int v = 0; v < V; v++) {
        shift[v] = bias && !transposed ? bias[c + v] : 0;
        for (int j = 0; j < TAPS; j++) {
            taps[j][v] = weight[(c + v) * TAPS + (transposed ? TAPS - 1 - j : j)];
        }
    }
    Strip strip(grid, item);
    strip.column(input + c, strip.x - 1, window[0]);
    strip.column(input + c, strip.x, window[1]);
#pragma unroll
    for (int s = 0; s < STRIP; s++) {
        if (strip.x + s < grid.width) {
            strip.column(input + c, strip.x + s + 1, window[(s + 2) % 3]);
            float sum[V];
#pragma unroll
            for (int v = 0; v < V; v++) {
                sum[v] = shift[v];
#pragma unroll
                for (int j = 0; j < TAPS; j++) {
                    sum[v] += taps[j][v] * window[(s + j % 3) % 3][j / 3][v];
                }
                sum[v] = transposed ? sum[v] : sum[v] * logistic(sum[v]);
            }
            store<V>(output + (strip.row + strip.x + s) * C + c, sum);
        }
    }
}

// The gradient of the convolution's output, and of its parameters: (blocks, 10, C), each block's sums for the nine taps
// and the bias.
extern "C" __global__ void backward(const value* input, const float* weight, const float* bias, const value* gradOutput,
        value* gradConvolved, float* parameters, Grid grid) {
    __shared__ float sums[WARPS][TAPS + 1][32 * V];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int c = (blockIdx.y * 32 + lane) * V;
    bool exists = c < C;
    float taps[TAPS][V], shift[V], gradTaps[TAPS + 1][V] = {};
    for (int v = 0; v < V; v++) {
        shift[v] = bias && exists ? bias[c + v] : 0;
        for (int j = 0; j < TAPS; j++) {
            taps[j][v] = exists ? weight[(c + v) * TAPS + j] : 0;
        }
    }
    for (long long item = (long long)blockIdx.x * WARPS + warp; exists && item < grid.items();
            item += (long long)gridDim.x * WARPS) {
        Strip strip(grid, item);
        float window[3][3][V];
        strip.column(input + c, strip.x - 1, window[0]);
        strip.column(input + c, strip.x, window[1]);
#pragma unroll
        for (int s = 0; s < STRIP; s++) {
            if (strip.x + s < grid.width) {
                long long at = (strip.row + strip.x + s) * C + c;
                float g[V];
                load<V>(gradOutput + at, g);
                strip.column(input + c, strip.x + s + 1, window[(s + 2) % 3]);
#pragma unroll
                for (int v = 0; v < V; v++) {
                    float sum = shift[v];
#pragma unroll
                    for (int j = 0; j < TAPS; j++) {
                        sum += taps[j][v] * window[(s + j % 3) % 3][j / 3][v];
                    }
                    float open = logistic(sum);
                    g[v] *= open * (1 + sum * (1 - open));
#pragma unroll
                    for (int j = 0; j < TAPS; j++) {
                        gradTaps[j][v] += g[v] * window[(s + j % 3) % 3][j / 3][v];
                    }
                    gradTaps[TAPS][v] += g[v];
                }
                store<V>(gradConvolved + at, g);
            }
        }
    }
    for (int j = 0; j <= TAPS; j++) {
        for (int v = 0; v < V; v++) {
            sums[warp][j][lane * V + v] = gradTaps[j][v];
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < (TAPS + 1) * 32 * V; i += blockDim.x) {
        int j = i / (32 * V), channel = blockIdx.y * 32 * V + i % (32 * V);
        float sum = 0;
        for (int w = 0; w < WARPS; w++) {
            sum += sums[w][j][i % (32 * V)];
        }
        if (channel < C) {
            parameters[((long long)blockIdx.x * (TAPS + 1) + j) * C + channel] = sum;
        }
    }
}

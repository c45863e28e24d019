// SiLU(3 x 3 depthwise convolution), channels last, and its gradient: io.audiomamba.fused.DepthwiseSilu launches these
// kernels, compiled with CHANNELS, TYPE, WARPS (of a block), STRIP and TAPS defined.
//
// A lane holds V channels; a warp works through strips of STRIP neighbouring tokens of a row. It reads all that a strip
// needs before it computes, so that many reads are on their way at once: each token is read three times instead of
// nine, twice of these from the cache.

constexpr int C = CHANNELS;
constexpr int V = C % 2 == 0 ? 2 : 1;

typedef Type<TYPE>::of value;

// V values as they come from memory; as numbers the compiler would give each a register.
template <int BYTES>
struct Bits;
template <>
struct Bits<2> {
    typedef unsigned short of;
};
template <>
struct Bits<4> {
    typedef unsigned of;
};
template <>
struct Bits<8> {
    typedef unsigned long long of;
};
typedef Bits<V * sizeof(value)>::of bits;

__device__ float number(bits x, int v) { return toFloat(((const value*)&x)[v]); }

struct Grid {
    int images, height, width;
    int stride; // between neighbouring tokens of the input
    __device__ int strips() const { return (width + STRIP - 1) / STRIP; }
    __device__ int items() const { return images * height * strips(); }
};

// One strip: where it is, and what its windows see.
struct Strip {
    const Grid& grid;
    int x, y;
    long long row;           // the first token of the row
    bits seen[STRIP + 2][3]; // columns, then lines

    __device__ Strip(const Grid& grid, int item) : grid(grid) {
        x = item % grid.strips() * STRIP;
        int line = item / grid.strips();
        y = line % grid.height;
        row = (long long)line * grid.width;
    }

    __device__ void read(const value* from) {
#pragma unroll
        for (int line = 0; line < 3; line++) {
            const value* at = from + (row + (line - 1) * (long long)grid.width + x - 1) * grid.stride;
            bool exists = y + line >= 1 && y + line <= grid.height;
#pragma unroll
            for (int column = 0; column < STRIP + 2; column++) {
                seen[column][line] = exists && x + column >= 1 && x + column <= grid.width
                        ? *(const bits*)(at + column * grid.stride)
                        : 0;
            }
        }
    }

    // What tap j of a token sees.
    __device__ float at(int token, int j, int v) const { return number(seen[token + j % 3][j / 3], v); }
};

__device__ float logistic(float x) { return __fdividef(1, 1 + exp2Fast(-LOG2E * x)); }

// weight: (C, 9). `bias` may be null. With `transposed` the window is turned by half and nothing is activated: the
// gradient of the convolution's input from that of its output.
extern "C" __global__ void convolve(const value* input, const float* weight, const float* bias, value* output,
        Grid grid, int transposed) {
    int c = (blockIdx.y * 32 + threadIdx.x % 32) * V;
    if (c >= C) {
        return;
    }
    float taps[TAPS][V], shift[V];
    for (int v = 0; v < V; v++) {
        shift[v] = bias && !transposed ? bias[c + v] : 0;
        for (int j = 0; j < TAPS; j++) {
            taps[j][v] = weight[(c + v) * TAPS + (transposed ? TAPS - 1 - j : j)];
        }
    }
    for (int item = blockIdx.x * WARPS + threadIdx.x / 32; item < grid.items(); item += gridDim.x * WARPS) {
        Strip strip(grid, item);
        strip.read(input + c);
        value* to = output + (strip.row + strip.x) * C + c;
#pragma unroll
        for (int s = 0; s < STRIP; s++) {
            if (strip.x + s < grid.width) {
                float sum[V];
#pragma unroll
                for (int v = 0; v < V; v++) {
                    sum[v] = shift[v];
#pragma unroll
                    for (int j = 0; j < TAPS; j++) {
                        sum[v] += taps[j][v] * strip.at(s, j, v);
                    }
                    sum[v] = transposed ? sum[v] : sum[v] * logistic(sum[v]);
                }
                store<V>(to + s * C, sum);
            }
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
    for (int item = blockIdx.x * WARPS + warp; exists && item < grid.items(); item += gridDim.x * WARPS) {
        Strip strip(grid, item);
        strip.read(input + c);
        bits gradients[STRIP];
        long long first = (strip.row + strip.x) * C + c;
#pragma unroll
        for (int s = 0; s < STRIP; s++) {
            gradients[s] = *(const bits*)(gradOutput + first + min(s, grid.width - strip.x - 1) * C);
        }
#pragma unroll
        for (int s = 0; s < STRIP; s++) {
            if (strip.x + s < grid.width) {
                float g[V];
#pragma unroll
                for (int v = 0; v < V; v++) {
                    g[v] = number(gradients[s], v);
                    float sum = shift[v];
#pragma unroll
                    for (int j = 0; j < TAPS; j++) {
                        sum += taps[j][v] * strip.at(s, j, v);
                    }
                    float open = logistic(sum);
                    g[v] *= open * (1 + sum * (1 - open));
#pragma unroll
                    for (int j = 0; j < TAPS; j++) {
                        gradTaps[j][v] += g[v] * strip.at(s, j, v);
                    }
                    gradTaps[TAPS][v] += g[v];
                }
                store<V>(gradConvolved + first + s * C, g);
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

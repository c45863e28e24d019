// Sums of the columns of a matrix (rows, C): CHANNELS, VECTOR, LANES (vectors of so many columns, side by
// side in a block) and THREADS (of a block) are defined.

constexpr int C = CHANNELS;
constexpr int V = VECTOR;
constexpr int ROWS = THREADS / LANES; // that a block reads at once

// What a thread does: V neighbouring columns of some rows.
struct Columns {
    int column = (blockIdx.x * LANES + threadIdx.x % LANES) * V;
    float sums[V] = {};

    // Calls f with the place of the thread's columns in each of its rows.
    template <typename F>
    __device__ void forEachRow(int rows, F f) const {
        for (int row = blockIdx.y * ROWS + threadIdx.x / LANES; column < C && row < rows; row += gridDim.y * ROWS) {
            f((long long)row * C + column);
        }
    }

    __device__ void add(const float x[V]) {
#pragma unroll
        for (int v = 0; v < V; v++) {
            sums[v] += x[v];
        }
    }

    // The block's sums, to (blocks, C).
    __device__ void write(float* to) const {
        __shared__ float all[ROWS][LANES * V];
        for (int v = 0; v < V; v++) {
            all[threadIdx.x / LANES][threadIdx.x % LANES * V + v] = sums[v];
        }
        __syncthreads();
        for (int i = threadIdx.x; i < LANES * V; i += THREADS) {
            int channel = blockIdx.x * LANES * V + i;
            float sum = 0;
            for (int row = 0; row < ROWS; row++) {
                sum += all[row][i];
            }
            if (channel < C) {
                to[(long long)blockIdx.y * C + channel] = sum;
            }
        }
    }
};

// Sums over channels and over tokens, for gradients.

#include "passes.cuh"

// Sums each of TILE values over the warp's lanes. A lane gets one of the sums, and several the same.
struct LaneSums {
#if TENSOR_CORES
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

#if FUSED
// The gradients of the projection x = W r + b: of r, summed over the warp's channels, and of W. Both are products of
// matrices with the gradient of x in 16 bits.
struct ProjectionGradients {
    static constexpr int OCTETS = (R + 7) / 8, PADDED = TILE + 8; // rows of x begin in different banks
    static_assert(LOW_RANK * TILE * sizeof(float) >= WARP * PADDED * sizeof(value), "x lies where the sums will");

    // Of W so far: channels lane / 4 and 8 more in both halves of the warp's; ranks 8 q + lane % 4 * 2 and one more.
    float weights[2][OCTETS][4] = {};

    // A tile, for which sums (R, TILE) get the gradient of r.
    __device__ void add(const float gradX[TILE], const StepSizes& steps, const Rows& rows, int tile, float* sums) {
        int lane = threadIdx.x % WARP, matrix = lane / 8, row = lane % 8;
        auto x = (value(*)[PADDED])sums; // (channels, tokens)
#pragma unroll
        for (int i = 0; i < TILE; i += 8) {
            *(uint4*)&x[lane][i] = make_uint4(packed(gradX[i], gradX[i + 1]), packed(gradX[i + 2], gradX[i + 3]),
                    packed(gradX[i + 4], gradX[i + 5]), packed(gradX[i + 6], gradX[i + 7]));
        }
        __syncwarp();
        float low[OCTETS][4] = {};
#pragma unroll
        for (int m = 0; m < 2; m++) {
            unsigned byChannel[4], byToken[4];
            loadMatrices(byChannel, &x[16 * m + matrix % 2 * 8 + row][matrix / 2 * 8]);
            loadTransposed(byToken, &x[16 * m + matrix / 2 * 8 + row][matrix % 2 * 8]);
#pragma unroll
            for (int q = 0; q < OCTETS; q++) {
                unsigned r0, r1;
                loadTransposed(r0, r1, &rows.steps[tile * TILE + lane % 16][8 * q]);
                multiplyAdd(weights[m][q], byChannel, r0, r1);
                const unsigned* w = &steps.weights[m][q / 2][q % 2 * 2];
                multiplyAdd(low[q], byToken, transposed(w[0]), transposed(w[1]));
            }
        }
        __syncwarp();
#pragma unroll
        for (int q = 0; q < OCTETS; q++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int rank = 8 * q + lane % 4 * 2 + j % 2, token = lane / 4 + j / 2 * 8;
                if (rank < R) {
                    sums[rank * TILE + token] = low[q][j];
                }
            }
        }
    }

    // Calls f with channel, rank and gradient of W for all that this lane has.
    template <typename F>
    __device__ void forEachWeight(F f) const {
        int lane = threadIdx.x % WARP, first = blockIdx.y * blockDim.x + threadIdx.x - lane + lane / 4;
#pragma unroll
        for (int q = 0; q < OCTETS; q++) {
#pragma unroll
            for (int j = 0; j < 8; j++) {
                f(first + 8 * (j / 2), 8 * q + lane % 4 * 2 + j % 2, weights[j / 4][q][j % 4]);
            }
        }
    }
};
#endif

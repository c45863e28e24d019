// The step sizes of a thread's channel, one after the other or by tensor cores.

#include "chunk.cuh"
#include "softplus.cuh"
#if TENSOR_CORES
#include "tensor_cores.cuh"
#endif

// The step sizes of a thread's channel in one direction: softplus(W x + b).
struct StepSizes {
#if TENSOR_CORES
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

    // The warp's products are (32 channels, 4 times 4 tokens), the latter shuffled.
    __device__ void of(const Rows& rows, int tile, float* products, float s[TILE]) const {
        int lane = threadIdx.x % WARP;
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

    __device__ void of(const Rows& rows, int tile, float*, float s[TILE]) const {
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

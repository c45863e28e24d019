// Step sizes, and matrix products of tensor cores.

#include "chunk.cuh"

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

#if TENSOR_CORES
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

// Four (or two) matrices of 8 rows of 8 values from shared memory, whose rows' addresses the lanes hold eight by eight.
// A lane gets the values lane % 4 * 2 and one more of row lane / 4, and if transposed, of column lane / 4.
__device__ void loadMatrices(unsigned a[4], const value* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3]) : "r"((unsigned)__cvta_generic_to_shared(row)) : "memory");
}
__device__ void loadTransposed(unsigned a[4], const value* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3]) : "r"((unsigned)__cvta_generic_to_shared(row)) : "memory");
}
__device__ void loadTransposed(unsigned& a0, unsigned& a1, const value* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(a0), "=r"(a1) : "r"((unsigned)__cvta_generic_to_shared(row)) : "memory");
}

// The transpose of a matrix of 8 by 8 that the lanes hold.
__device__ unsigned transposed(unsigned x) {
    unsigned y;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(x));
    return y;
}

__device__ unsigned packed(float low, float high) {
    unsigned y;
#if TYPE == 1
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
#else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
#endif
    return y;
}
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

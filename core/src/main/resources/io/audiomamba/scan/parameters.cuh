// The gradients of the parameters: rows of the channels' sums over tokens, in each direction.

constexpr int A = 0, SKIP = N, BIAS = N + 1, WEIGHTS = N + 2;
constexpr int PARAMETERS = WEIGHTS + (FUSED ? R : 0);

// The parameters' gradients, each in its own order, from what blocks have added up, (blocks, 4, PARAMETERS, D). That of W_dt,
// (4, D, R), only if fused. A block of threads has one row of 32 channels; its warps share the sums.
extern "C" __global__ void deliver(const float* sums, int blocks, const float* aLogs, float* gradALogs, float* gradSkip,
        float* gradBias, float* gradWeight, int channels) {
    __shared__ float ofWarps[32][32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    int channel = blockIdx.x * 32 + lane, row = blockIdx.y, k = blockIdx.z;
    bool there = channel < channels;
    awaitPrevious();
    constexpr int AT_ONCE = 16; // reads that a thread waits for together
    float sum = 0;
    for (int begin = warp; begin < blocks; begin += AT_ONCE * warps) {
        float ofBlocks[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            int block = begin + i * warps;
            ofBlocks[i] = there && block < blocks ? sums[((block * 4ll + k) * PARAMETERS + row) * channels + channel] : 0;
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            sum += ofBlocks[i];
        }
    }
    ofWarps[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && there) {
        for (int other = 1; other < warps; other++) {
            sum += ofWarps[other][lane];
        }
        int i = k * channels + channel;
        if (row < SKIP) {
            gradALogs[i * N + row] = -exp2Fast(LOG2E * aLogs[i * N + row]) * sum;
        } else if (row == SKIP) {
            gradSkip[i] = sum;
        } else if (row == BIAS) {
            gradBias[i] = sum;
        } else {
            gradWeight[i * R + row - WEIGHTS] = sum;
        }
    }
}

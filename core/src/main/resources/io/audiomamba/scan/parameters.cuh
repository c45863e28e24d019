// The gradients of the parameters: rows of the channels' sums over tokens, in each direction.

constexpr int A = 0, SKIP = N, BIAS = N + 1, WEIGHTS = N + 2;
constexpr int PARAMETERS = WEIGHTS + (FUSED ? R : 0);

// The parameters' gradients, each in its own order, from their sums over blocks, (4, PARAMETERS, D). That of W_dt,
// (4, D, R), only if fused.
extern "C" __global__ void deliver(const float* sums, const float* aLogs, float* gradALogs, float* gradSkip,
        float* gradBias, float* gradWeight, int channels) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < 4 * channels) {
        const float* from = sums + (long long)(i / channels * PARAMETERS) * channels + i % channels;
        for (int n = 0; n < N; n++) {
            gradALogs[i * N + n] = -exp2Fast(LOG2E * aLogs[i * N + n]) * from[(A + n) * channels];
        }
        gradSkip[i] = from[SKIP * channels];
        gradBias[i] = from[BIAS * channels];
        for (int row = WEIGHTS; row < PARAMETERS; row++) {
            gradWeight[i * R + row - WEIGHTS] = from[row * channels];
        }
    }
}

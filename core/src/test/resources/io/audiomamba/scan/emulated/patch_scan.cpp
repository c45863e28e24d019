// The scan over patches, forward and backward, on a CPU, and what is right in double precision: prints what blocks have in
// shared memory, then the relative error of each result, and of each column and row of those that have them. Arguments: images, rows, columns, channels, blocks of the gradient's kernel.

#include "cuda.h"
#include "numbers.cuh"

#include <cstdio>
#include <random>

namespace forward {
#include "patch_scan_forward.cu"
}
namespace backward {
#include "patch_scan_backward.cu"
}

typedef std::vector<double> Doubles;

static std::mt19937 generator(20261126);

// Numbers where kernels find whole vectors.
struct Values {
    std::unique_ptr<bfloat16, decltype(&std::free)> memory;
    size_t size;

    Values(size_t size) : memory((bfloat16*)std::aligned_alloc(128, (size * 2 + 127) / 128 * 128), std::free), size(size) {
        std::normal_distribution<float> normal;
        for (size_t i = 0; i < size; i++) {
            store(memory.get() + i, normal(generator));
        }
    }
    bfloat16* begin() const { return memory.get(); }
    double operator[](size_t i) const { return toFloat(memory.get()[i]); }
};

static std::vector<float> random(size_t size, auto distribution) {
    std::vector<float> x(size);
    for (float& each : x) {
        each = distribution(generator);
    }
    return x;
}

// Number i is of part i / `inner` % `parts`.
static void print(const char* name, const auto& actual, const Doubles& expected, int parts = 1, size_t inner = 1) {
    for (int part = 0; part < parts; part++) {
        double error = 0, norm = 0;
        for (size_t i = 0; i < expected.size(); i++) {
            if ((int)(i / inner % parts) == part) {
                error += std::pow(actual[i] - expected[i], 2);
                norm += std::pow(expected[i], 2);
            }
        }
        std::printf("%s-%d %.3e\n", name, part, std::sqrt(error / norm));
    }
}

int main(int, char** arguments) {
    int B = std::atoi(arguments[1]), H = std::atoi(arguments[2]), W = std::atoi(arguments[3]), D = std::atoi(arguments[4]);
    unsigned blocks = std::atoi(arguments[5]);
    int L = H * W, ROW = R + 2, lines = L / 8, patches = B * L / 128;
    size_t tokens = (size_t)B * L;

    Values u(tokens * D), projections(tokens * 4 * ROW), gradY(tokens * D);
    std::normal_distribution<float> normal;
    std::vector<float> weight = random(4 * D * R, std::normal_distribution<float>(0, 1 / std::sqrt((float)R)));
    std::vector<float> bias = random(4 * D, std::uniform_real_distribution<float>(-7, -2)); // as if step sizes began there
    std::vector<float> aLogs = random(4 * D, std::uniform_real_distribution<float>(-.5, 1)), skip = random(4 * D, normal);

    Values y(tokens * D), gradU(tokens * D), gradProjections(tokens * 4 * (FUSED ? ROW : 2)), steps(FUSED ? 0 : tokens * 4 * D);
    Values weights((size_t)4 * D * forward::INNER), across((size_t)4 * D * forward::INNER);
    std::vector<float> a(4 * D), skipSum(D), states(tokens / 8 * 4 * D), adjoints(states.size());
    std::vector<float> parameters((size_t)blocks * 4 * backward::PARAMETERS * D);
    launch({(4u * D + 255) / 256, 1, 1}, 256, 0, [&] {
        forward::prepare(weight.data(), bias.data(), aLogs.data(), skip.data(), weights.begin(), across.begin(), a.data(),
                skipSum.data(), D);
    });
    forward::Operands in{u.begin(), projections.begin(), weights.begin(), across.begin(), a.data(), skipSum.data(), H, W, D};
    backward::Operands again{u.begin(), projections.begin(), weights.begin(), across.begin(), a.data(), skipSum.data(), H, W, D};
    int run = min(4, (lines + 15) / 16);
    unsigned threads = 32 * min(BORDER_WARPS, (lines + 16 * run - 1) / (16 * run));
    dim3 alongBorders = {D / (unsigned)BORDER_CHANNELS, 4, (unsigned)B};
    size_t remembered = run * threads * sizeof(float4[BORDER_CHANNELS / 4]);
    launch(alongBorders, threads, remembered, [&] { forward::forward_borders(in, states.data(), run); });
    launch({(unsigned)patches, 1, 1}, 128, sizeof(forward::PatchShared),
            [&] { forward::forward_patches(in, states.data(), y.begin()); });
    launch(alongBorders, threads, remembered,
            [&] { backward::backward_borders(again, gradY.begin(), adjoints.data(), run); });
    launch({blocks, 1, 1}, 128, sizeof(backward::PatchShared) + D * sizeof(float), [&] {
        backward::backward_patches(again, gradY.begin(), states.data(), adjoints.data(),
                {gradU.begin(), gradProjections.begin(), steps.begin(), parameters.data()}, patches);
    });

    Doubles rightY(tokens * D), rightU(tokens * D), rightProjections(gradProjections.size), rightSteps(steps.size);
    Doubles rightParameters((size_t)4 * backward::PARAMETERS * D);
    for (int b = 0; b < B; b++) {
        for (int k = 0; k < 4; k++) {
            for (int d = 0; d < D; d++) {
                int channel = k * D + d;
                double A = -std::exp((double)aLogs[channel]), e = 0;
                Doubles h(L + 1), dt(L), decay(L), logistic(L);
                auto token = [&](int i) {
                    int at = k >= 2 ? L - 1 - i : i;
                    return b * (size_t)L + (k % 2 ? at % H * W + at / H : at);
                };
                auto parameter = [&](int row) -> double& {
                    return rightParameters[(k * backward::PARAMETERS + row) * (size_t)D + d];
                };
                for (int i = 0; i < L; i++) {
                    size_t t = token(i), r = (t * 4 + k) * ROW;
                    double x = bias[channel], value = u[t * D + d];
                    for (int j = 0; j < R; j++) {
                        x += weight[channel * R + j] * projections[r + j];
                    }
                    dt[i] = std::log1p(std::exp(x));
                    logistic[i] = 1 / (1 + std::exp(-x));
                    decay[i] = std::exp(A * dt[i]);
                    h[i + 1] = decay[i] * h[i] + dt[i] * projections[r + R] * value;
                    rightY[t * D + d] += h[i + 1] * projections[r + R + 1] + skip[channel] * value;
                }
                for (int i = L - 1; i >= 0; i--) {
                    size_t t = token(i), r = (t * 4 + k) * ROW, g = (t * 4 + k) * (FUSED ? ROW : 2);
                    double value = u[t * D + d], ofY = gradY[t * D + d], ofB = projections[r + R];
                    e += ofY * projections[r + R + 1];
                    double ofX = (e * ofB * value + e * decay[i] * h[i] * A) * logistic[i];
                    rightU[t * D + d] += ofY * skip[channel] + e * dt[i] * ofB;
                    rightProjections[g + (FUSED ? R : 0)] += e * dt[i] * value;
                    rightProjections[g + (FUSED ? R : 0) + 1] += ofY * h[i + 1];
                    parameter(backward::A) += e * decay[i] * h[i] * dt[i];
                    parameter(backward::SKIP) += ofY * value;
                    parameter(backward::BIAS) += ofX;
                    for (int j = 0; j < R && FUSED; j++) {
                        rightProjections[g + j] += ofX * weight[channel * R + j];
                        parameter(backward::WEIGHTS + j) += ofX * projections[r + j];
                    }
                    if (!FUSED) {
                        rightSteps[(k * tokens + t) * D + d] = ofX / LOG2E;
                    }
                    e *= decay[i];
                }
            }
        }
    }
    Doubles sums(rightParameters.size());
    for (size_t i = 0; i < parameters.size(); i++) {
        sums[i % sums.size()] += parameters[i];
    }
    std::printf("%zu %zu\n", sizeof(forward::PatchShared), sizeof(backward::PatchShared));
    print("y", y, rightY);
    print("tokens", gradU, rightU);
    print("projections", gradProjections, rightProjections, FUSED ? ROW : 2);
    print("parameters", sums, rightParameters, backward::PARAMETERS, D);
    if (!FUSED) {
        print("steps", steps, rightSteps);
    }
}

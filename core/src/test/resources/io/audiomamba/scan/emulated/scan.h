// A scan with random operands, and what is right, in double precision.
#pragma once

#include "cuda.h"
#include "numbers.cuh"

#include <cstdio>
#include <random>

typedef std::vector<double> Doubles;

// Numbers where kernels find whole vectors.
template <typename T>
struct Numbers {
    std::unique_ptr<T, decltype(&std::free)> memory;
    size_t size;

    Numbers(size_t size)
        : memory((T*)std::aligned_alloc(128, (size * sizeof(T) + 127) / 128 * 128), std::free), size(size) {}
    T* begin() const { return memory.get(); }
    double operator[](size_t i) const { return toFloat(memory.get()[i]); }
};

struct Scan {
    typedef Type<TYPE>::of value;
    static constexpr int ROW = R + 2 * N, OF_ROW = FUSED ? ROW : 2 * N; // of projections, of their gradient
    static constexpr int SKIP = N, BIAS = N + 1, WEIGHTS = N + 2, PARAMETERS = WEIGHTS + (FUSED ? R : 0);

    int B, H, W, D, L;
    size_t tokens;
    std::mt19937 generator{20261126};
    Numbers<value> u, projections, gradY;
    std::vector<float> weight, bias, aLogs, skip;
    Doubles y, gradU, gradProjections, gradSteps, gradParameters;

    Scan(int B, int H, int W, int D)
        : B(B), H(H), W(W), D(D), L(H * W), tokens((size_t)B * L), u(tokens * D), projections(tokens * 4 * ROW),
          gradY(tokens * D), y(tokens * D), gradU(tokens * D), gradProjections(tokens * 4 * OF_ROW),
          gradSteps(FUSED ? 0 : tokens * 4 * D), gradParameters((size_t)4 * PARAMETERS * D) {
        std::normal_distribution<float> normal;
        for (const Numbers<value>* each : {&u, &projections, &gradY}) {
            for (size_t i = 0; i < each->size; i++) {
                store(each->begin() + i, normal(generator));
            }
        }
        weight = random(4 * D * R, std::normal_distribution<float>(0, 1 / std::sqrt((float)R)));
        bias = random(4 * D, std::uniform_real_distribution<float>(-7, -2)); // as if step sizes began there
        aLogs = random(4 * D * N, std::uniform_real_distribution<float>(-.5, 1));
        skip = random(4 * D, normal);
        for (int b = 0; b < B; b++) {
            for (int channel = 0; channel < 4 * D; channel++) {
                solve(b, channel / D, channel % D);
            }
        }
    }

    std::vector<float> random(size_t size, auto distribution) {
        std::vector<float> x(size);
        for (float& each : x) {
            each = distribution(generator);
        }
        return x;
    }

    void solve(int b, int k, int d) {
        int channel = k * D + d;
        Doubles dt(L), logistic(L), ofStep(L); // dL/d(dt)
        auto token = [&](int i) {
            int at = k >= 2 ? L - 1 - i : i;
            return b * (size_t)L + (k % 2 ? at % H * W + at / H : at);
        };
        auto parameter = [&](int row) -> double& { return gradParameters[(k * PARAMETERS + row) * (size_t)D + d]; };
        for (int i = 0; i < L; i++) {
            size_t t = token(i), r = (t * 4 + k) * ROW;
            double x = bias[channel];
            for (int j = 0; j < R; j++) {
                x += weight[channel * R + j] * projections[r + j];
            }
            dt[i] = std::log1p(std::exp(x));
            logistic[i] = 1 / (1 + std::exp(-x));
            y[t * D + d] += skip[channel] * u[t * D + d];
            gradU[t * D + d] += skip[channel] * gradY[t * D + d];
            parameter(SKIP) += gradY[t * D + d] * u[t * D + d];
        }
        for (int n = 0; n < N; n++) {
            double A = -std::exp((double)aLogs[channel * N + n]), e = 0;
            Doubles h(L + 1), decay(L);
            for (int i = 0; i < L; i++) {
                size_t t = token(i), r = (t * 4 + k) * ROW;
                decay[i] = std::exp(A * dt[i]);
                h[i + 1] = decay[i] * h[i] + dt[i] * projections[r + R + n] * u[t * D + d];
                y[t * D + d] += h[i + 1] * projections[r + R + N + n];
            }
            for (int i = L - 1; i >= 0; i--) {
                size_t t = token(i), r = (t * 4 + k) * ROW, g = (t * 4 + k) * OF_ROW + OF_ROW - 2 * N;
                double value = u[t * D + d], ofY = gradY[t * D + d], ofB = projections[r + R + n];
                e += ofY * projections[r + R + N + n];
                ofStep[i] += e * ofB * value + e * decay[i] * h[i] * A;
                gradU[t * D + d] += e * dt[i] * ofB;
                gradProjections[g + n] += e * dt[i] * value;
                gradProjections[g + N + n] += ofY * h[i + 1];
                parameter(n) += e * decay[i] * h[i] * dt[i];
                e *= decay[i];
            }
        }
        for (int i = 0; i < L; i++) {
            size_t t = token(i), r = (t * 4 + k) * ROW, g = (t * 4 + k) * OF_ROW;
            double ofX = ofStep[i] * logistic[i];
            parameter(BIAS) += ofX;
            for (int j = 0; j < R && FUSED; j++) {
                gradProjections[g + j] += ofX * weight[channel * R + j];
                parameter(WEIGHTS + j) += ofX * projections[r + j];
            }
            if (!FUSED) {
                gradSteps[(k * tokens + t) * D + d] = ofX / LOG2E;
            }
        }
    }

    // What blocks have, each `size` numbers, together.
    static Doubles summed(const std::vector<float>& ofBlocks, size_t size) {
        Doubles sums(size);
        for (size_t i = 0; i < ofBlocks.size(); i++) {
            sums[i % size] += ofBlocks[i];
        }
        return sums;
    }

    // Prints the relative error of each result, and of each column and row of those that have them. `parameters` are of blocks.
    void compare(const Numbers<value>& foundY, const Numbers<value>& foundU, const auto& foundProjections,
            const Numbers<value>& foundSteps, const std::vector<float>& parameters) const {
        print("y", foundY, y);
        print("tokens", foundU, gradU);
        print("projections", foundProjections, gradProjections, OF_ROW);
        print("parameters", summed(parameters, gradParameters.size()), gradParameters, PARAMETERS, D);
        if (!FUSED) {
            print("steps", foundSteps, gradSteps);
        }
    }

    // Number i is of part i / `inner` % `parts`.
    static void print(const char* name, const auto& found, const Doubles& right, int parts = 1, size_t inner = 1) {
        for (int part = 0; part < parts; part++) {
            double error = 0, norm = 0;
            for (size_t i = 0; i < right.size(); i++) {
                if ((int)(i / inner % parts) == part) {
                    error += std::pow(found[i] - right[i], 2);
                    norm += std::pow(right[i], 2);
                }
            }
            std::printf("%s-%d %.3e\n", name, part, std::sqrt(error / norm));
        }
    }
};

// GELU (Hendrycks and Gimpel 2016), x Phi(x) with the normal distribution's Phi, and its gradient:
// io.audiomamba.fused.FeedForward launches these kernels, compiled with TYPE and what column_sums.cuh wants defined.

#include "column_sums.cuh"

typedef Type<TYPE>::of value;

// Phi and its derivative. With z = |x| / sqrt(2), 1 - erf(z) is a polynomial of 1 / (1 + p z) times exp(-z^2): Abramowitz
// and Stegun 7.1.26, with an error of 1.5e-7. The exponential is the derivative's too.
struct Normal {
    float below, density;

    __device__ Normal(float x) {
        float z = fabsf(x) * 0.70710678f, bell = exp2Fast(-LOG2E * z * z), t = __fdividef(1, 1 + 0.3275911f * z);
        float tail = 0.5f * bell * t
                * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
        below = x < 0 ? tail : 1 - tail;
        density = 0.39894228f * bell;
    }
};

extern "C" __global__ void forward(const value* x, value* y, int rows) {
    Columns().forEachRow(rows, [&](long long at) {
        float part[V];
        load<V>(x + at, part);
#pragma unroll
        for (int v = 0; v < V; v++) {
            part[v] *= Normal(part[v]).below;
        }
        store<V>(y + at, part);
    });
}

// y again; the gradient of x, which replaces that of y; and its sums over the rows, (blocks, C).
extern "C" __global__ void backward(const value* x, value* y, value* gradient, float* sums, int rows) {
    Columns columns;
    columns.forEachRow(rows, [&](long long at) {
        float part[V], g[V];
        load<V>(x + at, part);
        load<V>(gradient + at, g);
#pragma unroll
        for (int v = 0; v < V; v++) {
            Normal normal(part[v]);
            g[v] *= normal.below + part[v] * normal.density;
            part[v] *= normal.below;
        }
        store<V>(y + at, part);
        store<V>(gradient + at, g);
        columns.add(g);
    });
    columns.write(sums);
}

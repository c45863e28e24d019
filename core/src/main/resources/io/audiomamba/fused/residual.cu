// The sum of tokens and a branch that each image may leave out, and the branch's gradient: io.audiomamba.fused.Residual
// launches these kernels, compiled with TYPE and VECTOR defined. `kept` is the branch's factor for each image.

constexpr int V = VECTOR;

typedef Type<TYPE>::of value;

// Calls f with the place of the V values of a thread and their image's factor.
template <typename F>
__device__ void forEachVector(const value* kept, int perImage, F f) {
    long long at = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * V;
    if (at < perImage) {
        f(blockIdx.y * (long long)perImage + at, load(kept + blockIdx.y));
    }
}

extern "C" __global__ void add(const value* x, const value* branch, const value* kept, value* sum, int perImage) {
    forEachVector(kept, perImage, [&](long long at, float factor) {
        float a[V], b[V];
        load<V>(x + at, a);
        load<V>(branch + at, b);
#pragma unroll
        for (int v = 0; v < V; v++) {
            a[v] += factor * b[v];
        }
        store<V>(sum + at, a);
    });
}

extern "C" __global__ void scale(const value* gradient, const value* kept, value* ofBranch, int perImage) {
    forEachVector(kept, perImage, [&](long long at, float factor) {
        float g[V];
        load<V>(gradient + at, g);
#pragma unroll
        for (int v = 0; v < V; v++) {
            g[v] *= factor;
        }
        store<V>(ofBranch + at, g);
    });
}

// What the kernels of this project share: CudaModule puts it before every source. Numbers in memory may be float32,
// bfloat16 or float16; arithmetic is in float32. NVRTC has no headers of CUDA's own, so conversions are written here.

struct bfloat16 {
    unsigned short bits;
};
struct float16 {
    unsigned short bits;
};

// The type that a definition names: 0 float32, 1 bfloat16, 2 float16.
template <int CODE>
struct Type;
template <>
struct Type<0> {
    typedef float of;
};
template <>
struct Type<1> {
    typedef bfloat16 of;
};
template <>
struct Type<2> {
    typedef float16 of;
};

__device__ inline float toFloat(float x) { return x; }
__device__ inline float toFloat(bfloat16 x) { return __uint_as_float((unsigned)x.bits << 16); }
__device__ inline float toFloat(float16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}

__device__ inline void fromFloat(float x, float& y) { y = x; }
__device__ inline void fromFloat(float x, bfloat16& y) {
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
    unsigned bits = __float_as_uint(x);
    y.bits = x == x ? (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) : (unsigned short)0x7fff;
#endif
}
__device__ inline void fromFloat(float x, float16& y) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x)); }

// So many neighbouring values as one access to memory moves.
template <typename T, int V>
struct alignas(sizeof(T) * V < 16 ? sizeof(T) * V : 16) Vector {
    T values[V];
};

template <int V, typename T>
__device__ inline void load(const T* from, float x[V]) {
    Vector<T, V> vector = *(const Vector<T, V>*)from;
#pragma unroll
    for (int v = 0; v < V; v++) {
        x[v] = toFloat(vector.values[v]);
    }
}

template <int V, typename T>
__device__ inline void store(T* to, const float x[V]) {
    Vector<T, V> vector;
#pragma unroll
    for (int v = 0; v < V; v++) {
        fromFloat(x[v], vector.values[v]);
    }
    *(Vector<T, V>*)to = vector;
}

template <typename T>
__device__ inline float load(const T* from) {
    return toFloat(*from);
}

template <typename T>
__device__ inline void store(T* to, float x) {
    fromFloat(x, *to);
}

// 2^x to about 2 units of the last place; MUFU.
__device__ inline float exp2Fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

constexpr float LOG2E = 1.4426950408889634f;
constexpr float LN2 = 0.6931471805599453f;

// Kernels that overlap, see `CudaModule.launchEarly`: waits for the kernel before this one, and what it has written; and what each
// block calls when the next kernel may begin, behind its own `awaitPrevious` if it has one.
__device__ inline void awaitPrevious() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" : : : "memory");
#endif
}
__device__ inline void letNextBegin() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" : : : "memory");
#endif
}

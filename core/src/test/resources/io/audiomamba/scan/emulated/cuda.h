// As much of CUDA as the scan's kernels need, on a CPU: a thread for each of a block's, one block after the other. What
// threads read of one another they read between two barriers, so sanitizers see who forgot one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <pthread.h>
#include <thread>
#include <vector>

#define __device__
#define __global__
#define __launch_bounds__(...)
#define __shared__ static // by all threads, of the one block that there is

struct dim3 {
    unsigned x, y, z;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

template <typename To, typename From>
To bits(From x) {
    static_assert(sizeof(To) == sizeof(From));
    To y;
    std::memcpy(&y, &x, sizeof y);
    return y;
}
inline float __uint_as_float(unsigned x) { return bits<float>(x); }
inline unsigned __float_as_uint(float x) { return bits<unsigned>(x); }

using std::max;
using std::min;

// Barriers of libstdc++ have state in common, so that sanitizers take threads for ordered that are not.
class Barrier {
    pthread_barrier_t barrier;

public:
    explicit Barrier(unsigned threads) { pthread_barrier_init(&barrier, nullptr, threads); }
    ~Barrier() { pthread_barrier_destroy(&barrier); }
    void await() { pthread_barrier_wait(&barrier); }
};

// Of some warps, at which a thread may also arrive without waiting: it comes before who awaits it, and behind nobody. A mutex would
// put it behind all that were here before, and hide from sanitizers that they may still read what it overwrites.
class NamedBarrier {
    std::atomic<int> arrivals{0};

public:
    void arrive(int threads, bool waits) {
        int ofRound = arrivals.fetch_add(1, std::memory_order_release) / threads * threads + threads;
        while (waits && arrivals.load(std::memory_order_acquire) < ofRound) {
            std::this_thread::yield();
        }
    }
};

// What lanes of a warp show one another.
struct Warp {
    Barrier barrier{32};
    unsigned shown[32][6];
};

inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;
inline thread_local unsigned lane;
inline thread_local Warp* warp;
inline thread_local Barrier* block;
inline thread_local NamedBarrier* named;
inline char* dynamicMemory;

inline void __syncthreads() { block->await(); }
inline void __syncwarp() { warp->barrier.await(); }

template <typename T>
T ofLane(T x, unsigned source) {
    warp->shown[lane][0] = bits<unsigned>(x);
    __syncwarp();
    unsigned y = warp->shown[source][0];
    __syncwarp();
    return bits<T>(y);
}
template <typename T>
T __shfl_sync(unsigned, T x, unsigned source) { return ofLane(x, source); }
template <typename T>
T __shfl_up_sync(unsigned, T x, unsigned distance) { return ofLane(x, lane >= distance ? lane - distance : lane); }
template <typename T>
T __shfl_xor_sync(unsigned, T x, unsigned distance) { return ofLane(x, lane ^ distance); }

inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
    unsigned long long bytes = x | (unsigned long long)y << 32;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) {
        result |= (unsigned)(bytes >> (selector >> 4 * i & 7) * 8 & 0xff) << 8 * i;
    }
    return result;
}

template <typename T>
T __ldg(const T* from) { return *from; }
// Not atomic: no two threads may add to the same number without a barrier between them.
inline void atomicAdd(float* sum, float x) { *sum += x; }

// What the kernel before this one writes while both run: to be read once all of it is awaited or, if it is in parts, the part's
// count.
struct Overlapped {
    const char* begin = nullptr;
    size_t bytes = 0, part = 0; // of a part; 0 if there are none
    const int* counts = nullptr;

    Overlapped() = default;
    template <typename T>
    Overlapped(const std::vector<T>& written, size_t parts = 0, const int* counts = nullptr)
        : begin((const char*)written.data()), bytes(written.size() * sizeof(T)), part(parts ? bytes / parts : 0), counts(counts) {}
};
inline Overlapped overlapped;
inline thread_local bool allAwaited;
inline thread_local const int* countAwaited;

inline void mayBeRead(const void* from) {
    size_t at = (const char*)from - overlapped.begin;
    if (at < overlapped.bytes && !allAwaited && (!overlapped.part || countAwaited != overlapped.counts + at / overlapped.part)) {
        std::abort();
    }
}

template <typename Kernel>
void launch(dim3 blocks, unsigned threads, size_t dynamicBytes, Kernel kernel) {
    for (unsigned z = 0; z < blocks.z; z++) {
        for (unsigned y = 0; y < blocks.y; y++) {
            for (unsigned x = 0; x < blocks.x; x++) {
                constexpr size_t LINE = 128;
                std::unique_ptr<char, decltype(&std::free)> memory(
                        (char*)std::aligned_alloc(LINE, (dynamicBytes + LINE) / LINE * LINE), std::free);
                std::memset(memory.get(), 0xff, dynamicBytes); // not a number
                dynamicMemory = memory.get();
                Barrier ofBlock(threads);
                NamedBarrier ofWarps[16];
                std::vector<std::unique_ptr<Warp>> warps;
                std::vector<std::thread> running;
                for (unsigned t = 0; t < threads; t++) {
                    if (t % 32 == 0) {
                        warps.push_back(std::make_unique<Warp>());
                    }
                    running.emplace_back([&, x, y, z, t, mine = warps.back().get()] {
                        threadIdx = {t, 0, 0}, blockIdx = {x, y, z}, blockDim = {threads, 1, 1}, gridDim = blocks;
                        lane = t % 32, warp = mine, block = &ofBlock, named = ofWarps;
                        kernel();
                        if (overlapped.bytes && !allAwaited) { // those behind rely on it
                            std::abort();
                        }
                    });
                }
                for (std::thread& thread : running) {
                    thread.join();
                }
            }
        }
    }
}

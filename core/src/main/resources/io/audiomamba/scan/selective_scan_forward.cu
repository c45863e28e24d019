// The 2-D selective scan of VMamba on a GPU: io.audiomamba.scan.CudaScan launches these kernels, and those of
// selective_scan_backward.cu for its gradient.
//
// The L = H W tokens of an image are cut into chunks of CHUNK, once along the rows (axis 0) and once along the columns
// (axis 1). A block is one chunk of one image and up to 32 WARPS channels; a thread is one channel, so that neighbouring
// threads read neighbouring memory (channels last). It works through the chunk in tiles of TILE tokens that it holds in
// registers. Directions k = axis and k + 2 = axis + 2 read the same chunk, the second from its last position to its
// first: tables and tiles go by position. passes.cuh says how chunks go together. Kept for the backward pass are the
// state that enters every tile and, if blocks share the chunks, the sums of step sizes.
//
// Step sizes are in units of ln 2, dt = ln 2 * s: then s = log2(1 + 2^x) and exp(A dt) = 2^(A s). For this x, W_dt and
// the bias are multiplied by log2(e) beforehand, and B_t by ln 2 when it is read.
//
// The last chunk may be incomplete. Its missing positions read what its last one reads, but get a step size, and
// a gradient, of zero, which changes nothing as long as that last one is finite; threads without a channel do the same with
// the last channel. Neither stores anything. No pass needs atomics, so results are the same in every run.

#include "passes.cuh"

extern "C" __global__ void __launch_bounds__(WARPS * WARP, 12 / WARPS) forward_local(Operands in, float* states,
        float* sums) {
    __shared__ LocalShared shared;
    local<false>(shared, in, in.tokens, states, sums);
}

typedef MergedShared<TILE * WARP> ForwardShared;
static_assert(sizeof(ForwardShared) <= MOST_SHARED_BYTES, "as CudaScan has it");

template <bool REVERSED>
__device__ void forwardDirection(ForwardShared& shared, const Operands& in, Part part, const float* states,
        float* starts, float* partial, value* y) {
    int k = part.axis + (REVERSED ? 2 : 0);
    long long start = part.start(in.grid);
    partial += part.partialStart(in.grid);
    StepSizes steps(in, part, k);
    float h[N], a[N], skip = readSkip(in, part.channel);
    readA(in, part, k, a);
#pragma unroll
    for (int n = 0; n < N; n++) {
        h[n] = states ? states[part.at(in.grid, k, 1, 0, N, n)] : 0;
    }
#pragma unroll 1
    for (int nthChunk = 0; nthChunk < part.chunks; nthChunk++) {
        if (part.whole) {
            part.enter(in.grid, nth<REVERSED>(nthChunk, part.chunks));
        }
        shared.read(in, part, k, part.whole);
        float* kept = starts && part.exists ? starts + part.at(in.grid, k, TILES, 0, N, 0) : nullptr;
        int tiles = part.tiles();
#pragma unroll 1
        for (int t = 0; t < tiles; t++) {
            int tile = nth<REVERSED>(t, tiles), count = part.count(tile);
            float u[TILE], s[TILE], sum[TILE] = {};
            shared.places.gather(in.tokens + start, in.grid, tile, u);
            steps.of(shared.rows, tile, shared.scratch[threadIdx.x / WARP], s);
            clip(count, s);
#pragma unroll
            for (int n = 0; n < N; n++) {
                if (kept) {
                    kept[(tile * N + n) * in.grid.channels] = h[n];
                }
                float b[TILE], c[TILE];
                unpack(shared.rows.b[n], tile, b);
                unpack(shared.rows.c[n], tile, c);
#pragma unroll
                for (int j = 0; j < TILE; j++) {
                    int i = nth<REVERSED>(j, TILE);
                    h[n] = exp2Fast(s[i] * a[n]) * h[n] + s[i] * u[i] * b[i];
                    sum[i] += h[n] * c[i];
                }
            }
            shared.write<REVERSED>(in.grid, part, tile, sum, partial, y + start, skip, u);
        }
    }
}

// y for both directions along one axis, or parts of it along both. States are those that enter each chunk, null if none
// need; those that enter each tile go to starts, (B, 4, chunks * TILES, N, D), unless that is null.
extern "C" __global__ void __launch_bounds__(WARPS * WARP, 12 / WARPS) forward_merged(Operands in,
        const float* states, float* starts, float* partial, value* y, int axis) {
    __shared__ ForwardShared shared;
    Part part(in.grid, axis);
    shared.begin(in, part);
    forwardDirection<false>(shared, in, part, states, starts, partial, y);
    forwardDirection<true>(shared, in, part, states, starts, partial, y);
}

// The gradient of the 2-D selective scan, against time; selective_scan_forward.cu says how images are cut.

#include "gradient_sums.cuh"
#include "parameters.cuh"

// dL/dh that leaves a chunk towards the past.
extern "C" __global__ void __launch_bounds__(WARPS * WARP, 12 / WARPS) backward_local(Operands in, float* states,
        const value* gradY) {
    __shared__ LocalShared shared;
    local<true>(shared, in, gradY, states, nullptr);
}

// Numbers of a thread, one for each state.
struct Own {
    float of[N][MANY_STATES ? WARPS * WARP : 1];
    __device__ float& operator[](int n) { return of[n][MANY_STATES ? threadIdx.x : 0]; }
};

struct BackwardShared : MergedShared<SCRATCH> {
#if MANY_STATES
    Own own[OWN];
#endif
};
static_assert(sizeof(BackwardShared) <= MOST_SHARED_BYTES, "as CudaScan has it");

constexpr int STATES_AT_ONCE = MANY_STATES ? 1 : N; // more do not fit into the registers
constexpr int PROJECTED = FUSED ? ROW : 2 * N; // of the gradient of a token's projections in one direction
constexpr int FIRST_B = PROJECTED - 2 * N;

struct Gradients {
    float* partial;    // of the tokens, axis 0 only, (B, L, D), or each axis, (2, B, L, D)
    value* tokens;     // (B, L, D)
    value* steps;      // of x where the step size is softplus2(x), unless fused, (4, B, L, D)
    void* projections; // (blocks of channels, B, L, 4, PROJECTED); float32 unless fused and one block
    // Of A (N of them), skip, bias and, if fused, W_dt (R of them): (B, parts of an axis, 4, PARAMETERS, D).
    float* parameters;

    // A tile's sums over the block's channels, from those of warps: low rank, B_t and C_t, (rows, TILE).
    __device__ void writeProjections(const Work& work, const Grid& grid, int k, const Places& places,
            const float scratch[WARPS][SCRATCH], int tile) const {
        for (int i = threadIdx.x; i < PROJECTED * min(TILE, work.length - tile * TILE); i += blockDim.x) {
            int row = i % PROJECTED, position = i / PROJECTED;
            int from = (row < FIRST_B ? row : row - FIRST_B + LOW_RANK) * TILE + position;
            float sum = 0;
#pragma unroll
            for (int w = 0; w < WARPS; w++) {
                sum += w * WARP < blockDim.x ? scratch[w][from] : 0;
            }
            sum *= row >= FIRST_B && row < FIRST_B + N ? LN2 : 1;
            long long image = (long long)blockIdx.y * gridDim.z + work.image;
            long long token = image * grid.length() + places.tokens[tile * TILE + position];
            long long to = (token * 4 + k) * PROJECTED + row;
            if (FUSED && gridDim.y == 1) {
                store((value*)projections + to, sum);
            } else {
                ((float*)projections)[to] = sum;
            }
        }
    }

    // A parameter's gradient.
    __device__ void writeParameter(const Part& part, const Grid& grid, int k, int row, int channel, float x) const {
        parameters[((part.index() * 4 + k) * PARAMETERS + row) * grid.channels + channel] = x;
    }
};

template <bool REVERSED>
__device__ void backwardDirection(BackwardShared& shared, const Operands& in, Part part, const value* gradY,
        const float* states, const float* adjoints, const Gradients& out) {
    int k = part.axis + (REVERSED ? 2 : 0);
    bool withSkip = part.axis == 0 && !REVERSED; // whose gradient is the same in all directions
    float* scratch = shared.scratch[threadIdx.x / WARP];
    StepSizes steps(in, part, k);
    LaneSums overLanes;
#if FUSED
    ProjectionGradients projection;
#endif
#if MANY_STATES
    auto& own = shared.own;
#else
    Own own[OWN];
#endif
    Own &a = own[0], &adjoint = own[1], &gradA = own[2];
    readA(in, part, k, a);
    for (int n = 0; n < N; n++) {
        adjoint[n] = adjoints && part.exists ? adjoints[part.at(in.grid, k, 1, 0, N, n)] : 0;
        gradA[n] = 0;
    }
    float gradSkip = 0, gradBias = 0, skip = readSkip(in, part.channel);
    long long start = part.start(in.grid);
    float* partial = out.partial + part.partialStart(in.grid);
#pragma unroll 1
    for (int nthChunk = part.chunks - 1; nthChunk >= 0; nthChunk--) {
        if (part.whole) {
            part.enter(in.grid, nth<REVERSED>(nthChunk, part.chunks));
        }
        shared.read(in, part, k, part.whole);
        int tiles = part.tiles();
        const float* kept = states + part.at(in.grid, k, TILES, 0, N, 0);
        auto keptState = [&](int t, int n) { return kept[(nth<REVERSED>(t, tiles) * N + n) * in.grid.channels]; };
        float entering = keptState(tiles - 1, 0);
#pragma unroll 1
        for (int t = tiles - 1; t >= 0; t--) {
            int tile = nth<REVERSED>(t, tiles), count = part.count(tile);
            float u[TILE], g[TILE], s[TILE], fed[TILE] = {}, left[TILE] = {}; // dL/d(s u), dL/ds by the decay
            shared.places.gather(in.tokens + start, in.grid, tile, u);
            steps.of(shared.rows, tile, scratch, s);
            shared.places.gather(gradY + start, in.grid, tile, g);
            clip(count, g);
            clip(count, s);
            if (withSkip) {
#pragma unroll
                for (int i = 0; i < TILE; i++) {
                    gradSkip += g[i] * u[i];
                }
            }
            float su[TILE];
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                su[i] = s[i] * u[i];
            }
            // A state's results are stored behind the loads for the next one, which would not overtake them.
            float e, fromDecay, sumB, sumC;
            auto keep = [&](int n) {
                adjoint[n] = e;
                gradA[n] += fromDecay;
                if (LaneSums::owns()) {
                    scratch[(LOW_RANK + n) * TILE + LaneSums::position()] = sumB;
                    scratch[(LOW_RANK + N + n) * TILE + LaneSums::position()] = sumC;
                }
            };
#pragma unroll STATES_AT_ONCE
            for (int n = 0; n < N; n++) {
                float h = entering;
                entering = n < N - 1 ? keptState(t, n + 1) : keptState(max(t - 1, 0), 0); // on its way early
                float decay[TILE], decayed[TILE], b[TILE], c[TILE], gradB[TILE], gradC[TILE];
                unpack(shared.rows.b[n], tile, b);
                float ofState = a[n], ofFuture = adjoint[n];
                if (n > 0) {
                    keep(n - 1);
                }
#pragma unroll
                for (int j = 0; j < TILE; j++) {
                    int i = nth<REVERSED>(j, TILE);
                    decay[i] = exp2Fast(s[i] * ofState);
                    decayed[i] = decay[i] * h; // what is left of the state before
                    h = decayed[i] + su[i] * b[i];
                    gradC[i] = g[i] * h;
                }
                sumC = overLanes.of(gradC);
                e = ofFuture;
                fromDecay = 0;
                unpack(shared.rows.c[n], tile, c);
#pragma unroll
                for (int j = TILE - 1; j >= 0; j--) {
                    int i = nth<REVERSED>(j, TILE);
                    e += g[i] * c[i]; // now dL/dh
                    gradB[i] = su[i] * e;
                    fed[i] += b[i] * e;
                    float ofExponent = decayed[i] * e;
                    left[i] += LN2 * ofState * ofExponent;
                    fromDecay += s[i] * ofExponent;
                    e *= decay[i];
                }
                sumB = overLanes.of(gradB);
            }
            keep(N - 1);
            if (MANY_STATES) { // meanwhile the registers were needed
                asm volatile("" ::: "memory");
                shared.places.gather(in.tokens + start, in.grid, tile, u);
            }
            float gradU[TILE], gradS[TILE];
#pragma unroll
            for (int i = 0; i < TILE; i++) {
                gradU[i] = s[i] * fed[i];
                gradS[i] = (u[i] * fed[i] + left[i]) * logisticOf(s[i]);
                gradBias += gradS[i];
            }
#if FUSED
            projection.add(gradS, steps, shared.rows, tile, scratch);
#else
            const unsigned* at = shared.places.tokens + tile * TILE;
            value* to = out.steps + (long long)k * gridDim.z * in.grid.length() * in.grid.channels + start;
            forEach(count, [&](int i) { store(inToken(to, at[i], in.grid.channels), gradS[i]); });
#endif
            shared.write<REVERSED>(in.grid, part, tile, gradU, partial, out.tokens + start, skip, g);
            __syncthreads();
            out.writeProjections(part, in.grid, k, shared.places, shared.scratch, tile);
            __syncthreads();
        }
    }
    auto write = [&](int k, int row, int channel, float x) {
        out.writeParameter(part, in.grid, k, row, channel, x);
    };
    if (part.exists) {
        for (int n = 0; n < N; n++) {
            write(k, A + n, part.channel, LN2 * gradA[n]);
        }
        for (int all = 0; all < 4 && withSkip; all++) {
            write(all, SKIP, part.channel, gradSkip);
        }
        write(k, BIAS, part.channel, LOG2E * gradBias);
    }
#if FUSED
    projection.forEachWeight([&](int channel, int rank, float x) {
        if (rank < R && channel < in.grid.channels) {
            write(k, WEIGHTS + rank, channel, LOG2E * x);
        }
    });
#endif
}

// All gradients for both directions along one axis or both. States are those that enter each tile; adjoints those that
// enter each chunk from the future, null if none need.
extern "C" __global__ void __launch_bounds__(WARPS * WARP, 12 / WARPS) backward_merged(Operands in,
        const value* gradY, const float* states, const float* adjoints, Gradients out, int axis) {
    __shared__ BackwardShared shared;
    Part part(in.grid, axis);
    shared.begin(in, part);
    backwardDirection<false>(shared, in, part, gradY, states, adjoints, out);
    backwardDirection<true>(shared, in, part, gradY, states, adjoints, out);
}

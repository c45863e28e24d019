// The gradient of the scan over patches, against time.

#include "borders.cuh"
#include "parameters.cuh"

extern "C" __global__ void __launch_bounds__(BORDER_WARPS * WARP, BORDER_BLOCKS) backward_borders(Operands in,
        const value* gradY, float* adjoints, int run, int images) {
    borders<true>(in, gradY, adjoints, run, images);
}

struct Gradients {
    value* tokens;      // (B, L, D)
    value* projections; // (B, L, 4, R + 2); if not fused (B, L, 4, 2), of B and C
    value* steps;       // (4, B L, D), if not fused: of x, where the step size is softplus2(x)
    float* parameters;  // (blocks, 4, PARAMETERS, D)
};

// Whether gradients of the low rank have two tiles of 8 columns.
#define HELD (FUSED && R + 2 > 8)

// States, over ln 2, and adjoints that enter the lines of a warp.
struct Entering {
    float states[LINES * 8], adjoints[LINES * 8];
};

struct ChannelsBackward : Channels {
    unsigned across[FUSED ? INNER / 8 : 1]; // weights without the bias: numbers `group` of channels 2 quad and 2 quad + 1
};

// What a warp needs of its next 8 channels, on its way while it works on others.
#if FUSED
struct Ahead {
    OfEight eight;

    __device__ void fetch(const Operands& in, int k, int channel) { copyByWarp<sizeof(eight)>(&eight, &in.eightOf(k, channel)); }

    // A lane's part.
    __device__ ChannelsBackward read() const {
        ChannelsBackward own;
        own.readFrom<false>(eight.channels);
#pragma unroll
        for (int tile = 0; tile < INNER / 8; tile++) {
            own.across[tile] = ((const unsigned*)eight.across[8 * tile + threadIdx.x % WARP / 4])[threadIdx.x % 4];
        }
        return own;
    }
};
#else
struct Ahead { // in registers: shared memory would not be enough for two blocks
    ChannelsBackward own;

    __device__ void fetch(const Operands& in, int k, int channel) { own.readFrom<true>(in.eightOf(k, channel).channels); }
    __device__ ChannelsBackward read() const { return own; }
};
#endif

struct PatchShared {
    Table tables[DIRECTIONS];
    Slab tokens[2][EIGHTS], gradY[2][EIGHTS]; // one in work, one on its way
    Sums gradTokens[EIGHTS];
    Entering entering[DIRECTIONS];
#if FUSED
    Ahead ahead[DIRECTIONS];
#endif
#if HELD
    float4 firstColumns[STEPS][DIRECTIONS * WARP]; // a lane's sums of the first 8; those behind are in registers
#elif !FUSED
    unsigned steps[DIRECTIONS][STEPS][LINES][2][4]; // gradients of x, of 16 channels
#endif
};
static_assert(PARAMETERS == 3 + (FUSED ? R : 0), "as PatchScan has it");
static_assert(sizeof(PatchShared) == SHARED_BYTES, "as PatchScan has it");
static_assert(MOVED == EIGHTS, "a thread's tokens come one a turn");

// Values of a token's gradient in one direction, and the first pair of those in registers.
constexpr int GRADIENT_ROW = FUSED ? ROW : 2, FIRST_PAIR = FUSED ? (INNER - 8) / 2 : 0;

// A quarter of the gradient of the skip connection, by one warp for 8 channels: of the diagonal of gradY^T u.
__device__ void addSkip(const Slab& gradY, const Slab& u, int quarter, float sums[4]) {
    int lane = threadIdx.x % WARP;
    const Eight* from = (lane / 8 % 2 ? u : gradY) + quarter * (ROWS / 4 * PITCH) + lane / 16 * PITCH + lane % 8;
#pragma unroll
    for (int i = 0; i < ROWS / 4; i += 2) {
        unsigned both[4]; // gradY and u of 8 tokens, and of 8 more
        loadTransposed(both, from[i * PITCH].of);
        multiplyAdd(sums, both[0], both[1], both[1]); // its upper half is what counts
        multiplyAdd(sums, both[2], both[3], both[3]);
    }
}

// Adds the other gradients of parameters of 8 channels in one direction. `to` is of the lane's two channels. A lane has
// numbers `group` and `group` + 8 of the rank; behind it the bias, which is what a 1 sums up; and A. If not fused, all
// numbers are the bias.
__device__ void addParameters(const float gradA[2], const float gradWeights[2][4], float* parameters, int to, int channels) {
    float ofA[4] = {gradA[0], gradA[1]}; // and summed up over all lines, for which a product takes half the time of exchanges
    if (TYPE == 1) {
        ofA[0] = ofA[1] = 0;
        multiplyAdd(ofA, ONES, ONES, transposed(packed(gradA[0], gradA[1])));
    } else { // float16 has no room for such sums
#pragma unroll
        for (int distance = 4; distance < WARP; distance *= 2) {
            ofA[0] += __shfl_xor_sync(~0u, ofA[0], distance);
            ofA[1] += __shfl_xor_sync(~0u, ofA[1], distance);
        }
    }
    constexpr int OF_BIAS = FUSED ? R : 0, OF_A = OF_BIAS + 1;
#pragma unroll
    for (int tile = 0; tile <= OF_A / 8; tile++) {
        int number = threadIdx.x % WARP / 4 + 8 * tile;
        const float *even = gradWeights[0] + 2 * tile, *odd = gradWeights[1] + (INNER == 8 ? 2 : 2 * tile);
        bool isA = number == OF_A;
        float x = isA ? LN2 * ofA[0] : LOG2E * (even[0] + odd[0]);
        float y = isA ? LN2 * ofA[1] : LOG2E * (even[1] + odd[1]);
        if (number <= OF_A) {
            float* sum = parameters + (to + (isA ? A : number == OF_BIAS ? BIAS : WEIGHTS + number) * channels);
            atomicAdd(sum, x);
            atomicAdd(sum + 1, y);
        }
    }
}

// All gradients. A block goes from patch to patch; a warp goes in one direction. At any time the four warps have 8
// channels each, in turns. What they add to the gradients of parameters goes to memory of the block's own, where each
// number is added to by one thread: atomic only to wait for nothing, and always in the same order.
extern "C" __global__ void __launch_bounds__(DIRECTIONS * WARP, 2) backward_patches(Operands in, const value* gradY,
        const float* states, const float* adjoints, Gradients out, int patches) {
    PatchShared& shared = *(PatchShared*)dynamic;
    int k = threadIdx.x / WARP, lane = threadIdx.x % WARP, group = lane / 4, quad = lane % 4;
    Table& table = shared.tables[k];
    int ofBlock = blockIdx.x * DIRECTIONS * PARAMETERS * in.channels; // the gradients of parameters
    int ofWarp = ofBlock + k * PARAMETERS * in.channels;
    Walk walk(k, group, PITCH);
    [[maybe_unused]] int along = (k % 2 ? in.width : 1) * (k >= 2 ? -1 : 1); // tokens to the next of a line, if not fused
    float leading = inRegister(LEADING);
    // The product with this matrix (4 numbers of B and 4 of C, 8) adds up each.
    constexpr int OF_B = FUSED ? R % 8 : 0;
    float ofMatrices[2] = {inRegister(group == OF_B), inRegister(group == OF_B + 1)};
    // Begin to copy what enters lines, each lane 4 numbers of one; `from` is where this one's begin.
    Entering& entering = shared.entering[k];
    auto fetchStates = [&](int from) { copyLater(entering.states + 4 * lane, states + (unsigned)from); };
    auto fetchAdjoints = [&](int from) { copyLater(entering.adjoints + 4 * lane, adjoints + (unsigned)from); };
    auto lineOf = [&](const Patch& patch) { return (int)patch.states(in, k, lane / 2) + lane % 2 * 4; };
    // Where a warp waits, in a turn behind the first, for the one that had its channels in the turn before.
    auto barrierOf = [](int turn, int warp) { return 1 + (turn - 1) * DIRECTIONS + warp; };
    int buffer = 0;
    Patch start(in, blockIdx.x);
    int own = start.own(in), line = lineOf(start); // of the channels in work, and of the first channel
    Patch::fetch(in, in.tokens + own, shared.tokens[buffer]);
    Patch::fetch(in, gradY + own, shared.gradY[buffer]);
#if FUSED
    Ahead& ahead = shared.ahead[k];
#else
    Ahead ahead;
#endif
    Table::Brought brought;
    brought.read(in, start, k);
    in.awaitBorders(start.image); // with a single round this gains nothing
    for (int i = threadIdx.x; i < DIRECTIONS * PARAMETERS * in.channels; i += blockDim.x) {
        out.parameters[ofBlock + i] = 0;
    }
    fetchStates(line + 8 * k);
    ahead.fetch(in, k, 8 * k);
    fetchAdjoints(line + 8 * k);
    commitCopies();
    waitForCopies();
#pragma unroll 1
    for (int index = blockIdx.x, next; index < patches; index = next) {
        next = index + gridDim.x;
        Patch patch(in, index), following(in, min(next, patches - 1));
        int ownOfNext = following.own(in), lineOfNext = lineOf(following);
        float projected[STEPS][4] = {};
#if HELD
        for (int j = 0; j < STEPS; j++) {
            shared.firstColumns[j][threadIdx.x] = make_float4(0, 0, 0, 0);
        }
#endif
        table.fill(brought);
#pragma unroll 1
        for (int first = 0; first < in.channels; first += CHANNELS) {
            __syncthreads();
            bool more = first + CHANNELS < in.channels;
            if (!more) {
                awaitPrevious(); // from here on, what enters lines of the next patch
                letNextBegin();
            }
            // In the round after this.
            int firstThen = more ? first + CHANNELS : 0, lineThen = more ? line : lineOfNext;
            int ownThen = more ? own + CHANNELS : ownOfNext;
            float gradSkip[4] = {};
#pragma unroll 1
            for (int turn = 0; turn < EIGHTS; turn++) {
                int eight = turn ^ k, channel = first + 8 * eight;
                const ChannelsBackward now = ahead.read();
                bool turns = turn + 1 < EIGHTS;
                int channelThen = (turns ? first : firstThen) + 8 * ((turn + 1) % EIGHTS ^ k);
                int enteringThen = (turns ? line : lineThen) + channelThen;
                float s[STEPS][4], h[STEPS + 1][4]; // before and after each step
                readEntering(entering.states, h[0]);
                __syncwarp();
                fetchStates(enteringThen);
                ahead.fetch(in, k, channelThen);
                auto tokenThen = [&](const value* of) { return of + (unsigned)(ownThen + turn * Patch::toNextOwn(in)); };
                Patch::fetch(turn, tokenThen(in.tokens), shared.tokens[1 - buffer]);
                Patch::fetch(turn, tokenThen(gradY), shared.gradY[1 - buffer]);
                float a[2] = {now.a.x, now.a.y};
                const char* u = (const char*)((const unsigned*)(shared.tokens[buffer][eight] + walk.start) + quad);
                int stride = walk.step * (int)sizeof(Eight);
#pragma unroll
                for (int pair = 0; pair < STEPS / 2; pair++) {
                    unsigned rows[2][INNER / 4];
                    table.rows.read(pair, rows);
                    float4 matrices[2] = {table.matricesOf(group, pair), table.matricesOf(group + 8, pair)};
#pragma unroll
                    for (int i = 0; i < 2; i++) {
                        int j = 2 * pair + i;
                        unsigned us[2] = {*(const unsigned*)u, *(const unsigned*)(u + SECOND * sizeof(Eight))};
                        u += stride;
                        float b[2] = {i ? matrices[0].z : matrices[0].x, i ? matrices[1].z : matrices[1].x};
                        project(rows[i], now.weights, s[j]);
#pragma unroll
                        for (int v = 0; v < 4; v++) {
                            float x = v % 2 ? high(us[v / 2]) : low(us[v / 2]);
                            s[j][v] = softplus2(s[j][v], leading);
                            h[j + 1][v] = exp2Fast(a[v % 2] * s[j][v]) * h[j][v] + s[j][v] * x * b[v / 2];
                        }
                    }
                }
                u -= stride;
                float e[4];
                readEntering(entering.adjoints, e);
#pragma unroll
                for (int v = 0; v < 4; v++) {
                    e[v] *= LN2;
                }
                __syncwarp();
                fetchAdjoints(enteringThen);
                commitCopies();
                int toGradY = (const char*)shared.gradY - (const char*)shared.tokens;
                char* sum = (char*)shared.gradTokens[eight].at(walk.start + (STEPS - 1) * walk.step);
                float gradA[2] = {}, gradWeights[2][4] = {};
                float ofDecay[2] = {inRegister(LN2 * a[0]), inRegister(LN2 * a[1])};
                // A step's operands are read before the step before it stores its own: loads do not overtake stores.
                float4 matrices[2] = {table.matricesOf(group, STEPS / 2 - 1), table.matricesOf(group + 8, STEPS / 2 - 1)};
                unsigned us[2], gs[2];
                float2 soFar[2];
                auto readStep = [&] {
                    const char* g = u + toGradY;
                    us[0] = *(const unsigned*)u, us[1] = *(const unsigned*)(u + SECOND * sizeof(Eight));
                    gs[0] = *(const unsigned*)g, gs[1] = *(const unsigned*)(g + SECOND * sizeof(Eight));
                    soFar[0] = soFar[1] = make_float2(0, 0);
                    if (turn > 0) { // others were here
                        soFar[0] = *(float2*)sum, soFar[1] = *(float2*)(sum + SECOND * sizeof(float4));
                    }
                };
                if (turn > 0) {
                    await(barrierOf(turn, k));
                }
                readStep();
#pragma unroll
                for (int pair = STEPS / 2 - 1; pair >= 0; pair--) {
                    unsigned transposedRows[4];
#pragma unroll
                    for (int i = 1; i >= 0; i--) {
                        int j = 2 * pair + i;
                        float bs[2] = {i ? matrices[0].z : matrices[0].x, i ? matrices[1].z : matrices[1].x};
                        float cs[2] = {i ? matrices[0].w : matrices[0].y, i ? matrices[1].w : matrices[1].y};
                        float fed[4] = {soFar[0].x, soFar[0].y, soFar[1].x, soFar[1].y}, gradB[2] = {}, gradC[2] = {}, gradX[4];
#pragma unroll
                        for (int v = 0; v < 4; v++) {
                            float x = v % 2 ? high(us[v / 2]) : low(us[v / 2]);
                            float y = v % 2 ? high(gs[v / 2]) : low(gs[v / 2]);
                            float b = bs[v / 2], su = s[j][v] * x;
                            gradC[v / 2] += y * h[j + 1][v];
                            e[v] += y * cs[v / 2]; // now dL/dh
                            gradB[v / 2] += su * e[v];
                            float eb = e[v] * b;
                            e[v] *= exp2Fast(a[v % 2] * s[j][v]);
                            float el = e[v] * h[j][v];
                            fed[v] += eb * s[j][v];
                            gradA[v % 2] += s[j][v] * el;
                            float ofStep = eb * x + ofDecay[v % 2] * el;
                            gradX[v] = ofStep - exp2Fast(-s[j][v]) * ofStep; // the derivative of softplus is 1 - 2^-s
                        }
#if HELD
                        float4 held = shared.firstColumns[j][threadIdx.x];
                        float columns[4] = {held.x, held.y, held.z, held.w};
#endif
                        char* to = sum;
                        if (j > 0) {
                            u -= stride;
                            sum -= stride;
                            readStep();
                            if (i == 0) {
                                matrices[0] = table.matricesOf(group, pair - 1);
                                matrices[1] = table.matricesOf(group + 8, pair - 1);
                            }
                        }
                        *(float2*)to = make_float2(fed[0], fed[1]);
                        *(float2*)(to + SECOND * sizeof(float4)) = make_float2(fed[2], fed[3]);
                        unsigned xs[2] = {packed(gradX[0], gradX[1]), packed(gradX[2], gradX[3])}; // of a line each
                        multiplyAdd(projected[j], gradB[0], gradB[1], gradC[0], gradC[1], ofMatrices[0], ofMatrices[1]);
#if FUSED
                        multiplyAdd(projected[j], xs[0], xs[1], now.across[INNER / 8 - 1]);
#else
                        shared.steps[k][j][group][eight % 2][quad] = xs[0];
                        shared.steps[k][j][group + 8][eight % 2][quad] = xs[1];
#endif
#if HELD
                        multiplyAdd(columns, xs[0], xs[1], now.across[0]);
                        shared.firstColumns[j][threadIdx.x] = make_float4(columns[0], columns[1], columns[2], columns[3]);
#endif
                        if (!FUSED) {
                            transposedRows[0] = transposedRows[1] = transposedRows[2] = transposedRows[3] = ONES;
                        } else if (INNER > 8 || i == 1) {
                            table.rows.readTransposed(pair, i, transposedRows);
                        }
                        multiplyAdd(gradWeights[i], transposedRows, transposed(xs[0]), transposed(xs[1]));
                    }
                }
#if !FUSED
                if (turn % 2) { // 16 channels are there: whole sectors of memory
                    __syncwarp();
                    long long token = (long long)k * patches * (ROWS * COLUMNS) + patch.token(in, k, lane / 2, 0);
                    value* to = out.steps + token * in.channels + first + eight / 2 * 16 + lane % 2 * 8;
#pragma unroll
                    for (int j = 0; j < STEPS; j++) {
                        *(uint4*)(to + j * along * in.channels) = *(const uint4*)shared.steps[k][j][lane / 2][lane % 2];
                    }
                }
#endif
                addSkip(shared.gradY[buffer][k], shared.tokens[buffer][k], turn, gradSkip);
                addParameters(gradA, gradWeights, out.parameters, ofWarp + channel + 2 * quad, in.channels);
                waitForCopies();
                __syncwarp();
                if (turns) {
                    arrive(barrierOf(turn + 1, eight ^ (turn + 1)));
                }
            }
            if (quad == group / 2) { // has a channel of the diagonal
                atomicAdd(out.parameters + (ofBlock + SKIP * in.channels + first + 8 * k + group),
                        group % 2 ? gradSkip[1] : gradSkip[0]);
            }
            deliverTokens(in, shared.gradTokens, shared.gradY[buffer], in.skip + first, out.tokens + own);
            own = ownThen;
            buffer = 1 - buffer;
            line = lineThen;
        }
        brought.read(in, following, k);
        // By way of the tables' memory, for they are made anew: whole rows of tokens, in all directions.
        constexpr int WORDS = DIRECTIONS * GRADIENT_ROW / 2; // of a token
        constexpr int WIDTH = WORDS + (WORDS % 8 ? 0 : 4), WIDE_ROW = COLUMNS * WIDTH + 4; // so that lines are in different banks
        static_assert(ROWS * WIDE_ROW * sizeof(unsigned) <= sizeof(shared.tables), "has room");
        unsigned* words = (unsigned*)shared.tables;
        Walk tokens(k, group, WIDE_ROW, WIDTH);
        unsigned* lanes = words + tokens.start + k * GRADIENT_ROW / 2 + quad;
#pragma unroll
        for (int j = 0; j < STEPS; j++) {
#pragma unroll
            for (int l = 0; l < 2; l++) {
                unsigned* to = lanes + j * tokens.step + l * 8 * WIDE_ROW;
                int pair = quad + FIRST_PAIR;
                if (pair < GRADIENT_ROW / 2) {
                    float last = projected[j][2 * l + 1] * (pair == GRADIENT_ROW / 2 - 1 ? LN2 : 1); // of C
                    to[FIRST_PAIR] = packed(projected[j][2 * l], last);
                }
#if HELD
                float4 held = shared.firstColumns[j][threadIdx.x];
                *to = l ? packed(held.z, held.w) : packed(held.x, held.y);
#endif
            }
        }
        __syncthreads();
        constexpr int VECTORS = WORDS / 4; // of a token
        for (int i = threadIdx.x; i < ROWS * COLUMNS * VECTORS; i += blockDim.x) {
            int row = i / (COLUMNS * VECTORS), ofRow = i % (COLUMNS * VECTORS);
            uint4* to = (uint4*)out.projections + patch.token(in, 0, row, 0) * VECTORS;
            to[ofRow] = *(const uint4*)(words + row * WIDE_ROW + ofRow / VECTORS * WIDTH + ofRow % VECTORS * 4);
        }
        __syncthreads();
    }
    for (int direction = 1; direction < DIRECTIONS; direction++) { // the skip connection's gradient is the same in all
        for (int i = threadIdx.x; i < in.channels; i += blockDim.x) {
            float* sums = out.parameters + ofBlock;
            sums[(direction * PARAMETERS + SKIP) * in.channels + i] = sums[SKIP * in.channels + i];
        }
    }
}

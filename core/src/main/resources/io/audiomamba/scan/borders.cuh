// States, over ln 2, that enter each line of tokens, in all four directions; or, against time, adjoints. A block has
// BORDER_CHANNELS channels and goes along all lines of an image in one direction, image after image. Its warps are in teams: those
// of a team have the same lines, and 16 channels each, side by side, so that memory is asked for many neighbouring bytes at a time.

#include "patch.cuh"

constexpr int BORDER_WARPS = 8, BORDER_BLOCKS = 2; // of a block, at most; of a multiprocessor
constexpr int MOST_THREADS = BORDER_WARPS * WARP;  // of a block
constexpr int WARP_CHANNELS = 16;
constexpr int TEAM = BORDER_CHANNELS / WARP_CHANNELS, TEAMS = BORDER_WARPS / TEAM;
constexpr int ABREAST = TEAM * WARP / LINES; // threads that copy one line, each 8 channels of all its tokens
// A thread has two lines, of neighbouring runs, and its own channels, of which pair t is the columns that it has of product t. Of
// its numbers, number 4 t + 2 line + i is of its channel 2 t + i.
constexpr int OWN = WARP_CHANNELS / 4, TILES = OWN / 2, NUMBERS = 2 * OWN;
constexpr int PART = STEPS / 2; // tokens of a line that come together

// What a team needs of its lines: half of each is in work, the other half on its way.
struct TeamShared {
    Rows rows;
    Eight tokens[LINES][STEPS * ABREAST + 2]; // two more, to keep lines in different banks
};

__device__ float4 four(const float* x) { return make_float4(x[0], x[1], x[2], x[3]); }
__device__ float number(float4 x, int i) { return i == 0 ? x.x : i == 1 ? x.y : i == 2 ? x.z : x.w; }

// By which factor, and with what added, something gets through all groups of lanes up to the lane's own.
__device__ void throughGroups(float factor[OWN], float added[OWN]) {
#pragma unroll
    for (int c = 0; c < OWN; c++) {
#pragma unroll
        for (int distance = 1; distance < 8; distance *= 2) {
            float factorBefore = __shfl_up_sync(~0u, factor[c], 4 * distance);
            float addedBefore = __shfl_up_sync(~0u, added[c], 4 * distance);
            if (threadIdx.x % WARP / 4 >= distance) {
                added[c] += factor[c] * addedBefore;
                factor[c] *= factorBefore;
            }
        }
    }
}

template <bool ADJOINT>
__device__ void borders(const Operands& in, const value* from, float* states, int run, int images) {
    int team = threadIdx.x / (TEAM * WARP), teams = blockDim.x / (TEAM * WARP);
    TeamShared& shared = ((TeamShared*)dynamic)[team];
    float4* onTheWay = (float4*)((TeamShared*)dynamic + teams) + threadIdx.x; // (run - 1, 2 TILES, MOST_THREADS)
    __shared__ float4 entering[TEAMS][BORDER_CHANNELS / 4]; // the first of a team's lines
    int group = threadIdx.x % WARP / 4, quad = threadIdx.x % 4;
    int ofTeam = threadIdx.x / WARP % TEAM * WARP_CHANNELS, ofBlock = ofTeam + OWN * quad; // a warp's, a thread's first channel
    int k = blockIdx.y, first = blockIdx.x * BORDER_CHANNELS;
    bool columns = k % 2, back = (k >= 2) != ADJOINT;
    int majors = columns ? in.width : in.height, perMajor = (columns ? in.height : in.width) / STEPS;
    int stride = (columns ? in.width : 1) * (back ? -1 : 1); // from a token to the next
    int tokenStride = stride * in.channels * (int)sizeof(value); // in bytes, as is what follows from it
    int rowStride = stride * DIRECTIONS * ROW * (int)sizeof(value);
    int together = teams * LINES * run; // lines of all teams, behind which the next begin
    states += (long long)(blockIdx.z * DIRECTIONS + k) * in.lines() * in.channels + first + ofBlock;

    // Copies: a thread with its mates those of one line, that lane `slot` % 8 * 4 and three more work on.
    int slot = threadIdx.x / ABREAST % LINES, mate = threadIdx.x % ABREAST;
    int imageToCopy = blockIdx.z, beginToCopy = 0, copiedOfRun = 0;
    int lineToCopy, inMajor, token; // along all lines, along its row or column; its first token
    int toNextLine = STEPS * stride; // in tokens; and from the last line of a row or column to the first of the next
    int toNextMajor = (columns ? 1 : in.width) * (back ? -1 : 1) - (perMajor - 1) * toNextLine;
    auto toBegin = [&] { // of the thread's next run
        lineToCopy = min(beginToCopy + (team * LINES + slot % 8 * 2 + slot / 8) * run, in.lines() - 1);
        inMajor = lineToCopy % perMajor;
        int major = lineToCopy / perMajor, along = inMajor * STEPS;
        if (back) {
            major = majors - 1 - major;
            along = perMajor * STEPS - 1 - along;
        }
        token = imageToCopy * in.length() + (columns ? along * in.width + major : major * in.width + along);
    };
    toBegin();
    unsigned tokens, rows; // where those of the line that is copied begin; offsets of 32 bits take fewer instructions than pointers
    auto tokenAt = [&](int j) { return (const char*)(from + first + 8 * mate) + (tokens + (unsigned)(j * tokenStride)); };
    auto rowAt = [&](int j) { return (const char*)(in.projections + k * ROW) + (rows + (unsigned)(j * rowStride)); };
    auto copyPart = [&](int part) {
        if (part == 0) {
            tokens = (unsigned)token * in.channels * sizeof(value);
            rows = (unsigned)token * (DIRECTIONS * ROW * sizeof(value));
            if (++copiedOfRun == run) {
                copiedOfRun = 0;
                beginToCopy += together;
                if (beginToCopy >= in.lines()) {
                    beginToCopy = 0;
                    imageToCopy = min(imageToCopy + (int)gridDim.z, images - 1); // at the end one again that nobody needs
                }
                toBegin();
            } else {
                bool turns = ++inMajor == perMajor;
                inMajor = turns ? 0 : inMajor;
                int toNext = turns ? toNextMajor : toNextLine;
                token += ++lineToCopy < in.lines() ? toNext : 0; // stays inside at the end
            }
        }
        int begin = part * PART;
#pragma unroll
        for (int j = begin; j < begin + PART; j++) {
            copyLater(&shared.tokens[slot][j * ABREAST + mate], tokenAt(j));
        }
        if (ROW == INNER) { // whole vectors
#pragma unroll
            for (int i = 0; i < PART * Rows::VECTORS; i += ABREAST) {
                int j = begin + (i + mate) / Rows::VECTORS, vector = (i + mate) % Rows::VECTORS;
                if (i + mate < PART * Rows::VECTORS) {
                    copyLater(shared.rows.at(slot, j) + vector, rowAt(j) + sizeof(Eight) * vector);
                }
            }
        } else {
#pragma unroll
            for (int j = begin; j < begin + PART; j++) {
#pragma unroll
                for (int word = 0; word < ROW / 2; word += ABREAST) {
                    if (word + ABREAST <= ROW / 2 || word + mate < ROW / 2) { // known but for the last
                        copyWordLater((unsigned*)shared.rows.at(slot, j) + word + mate, rowAt(j) + sizeof(unsigned) * (word + mate));
                    }
                }
            }
        }
        commitCopies();
    };
    if (ROW < INNER) { // zeros behind each row
        for (int i = threadIdx.x % (TEAM * WARP); i < LINES * Rows::LINE; i += TEAM * WARP) {
            *(uint4*)&shared.rows.of[i] = make_uint4(0, 0, 0, 0);
        }
        __syncthreads();
    }
    copyPart(0);
    // That compute-sanitizer's racecheck can follow who waits for whom: it counts barriers, and takes what a warp has written for
    // seen only by warps that have passed more of them. So each team is one ahead of the team that hands on to it; the first, to which
    // the last hands on, has passed those of a round more by then.
    for (int i = 0; i < team; i++) {
        meet(1 + team, TEAM * WARP);
    }

    awaitPrevious(); // which prepared parameters
    letNextBegin();
    unsigned weights[TILES][INNER / 8];
    float a[OWN];
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
        auto channel = [&](int ofWarp) -> const OfChannel& {
            int ofBlock = ofTeam + ofWarp;
            return in.eightOf(k, first + ofBlock).channels[ofBlock % 8];
        };
        readWeights<false>(channel(OWN * (group / 2) + 2 * tile + group % 2), weights[tile]);
        a[2 * tile] = channel(OWN * quad + 2 * tile).a;
        a[2 * tile + 1] = channel(OWN * quad + 2 * tile + 1).a;
    }
    // The product of a line's projections with this matrix has B, or C, in all columns.
    unsigned ofMatrices = quad == MATRICES_QUAD ? ONES & (ADJOINT ? 0xffff0000u : 0xffffu) : 0;
    float leading = inRegister(LEADING);
    // Where a warp of a team waits for the warp of the team before that has the same channels.
    auto barrierOf = [&](int team) { return 1 + TEAMS + team * TEAM + ofTeam / WARP_CHANNELS; };
    const char* own = (const char*)shared.tokens[group] + 2 * ofBlock;
    for (int image = blockIdx.z, begin = 0; image < images;) {
        float factor[NUMBERS], state[NUMBERS] = {};
#pragma unroll
        for (int e = 0; e < NUMBERS; e++) {
            factor[e] = 1;
        }
#pragma unroll 1
        for (int i = 0; i < run; i++) {
            if (i > 0) {
#pragma unroll
                for (int tile = 0; tile < TILES; tile++) {
                    onTheWay[(2 * TILES * (i - 1) + tile) * MOST_THREADS] = four(factor + 4 * tile);
                    onTheWay[(2 * TILES * (i - 1) + TILES + tile) * MOST_THREADS] = four(state + 4 * tile);
                }
            }
#pragma unroll
            for (int part = 0; part < STEPS / PART; part++) {
                waitForCopies();
                meet(1 + team, TEAM * WARP); // all copies of the team are there, and what the next go over has been read
                unsigned row[2][INNER / 4];
                shared.rows.read(part * PART / 2, row); // before the next copies begin
                copyPart(1 - part);
#pragma unroll
                for (int pair = part * PART / 2; pair < (part + 1) * PART / 2; pair++) {
                    if (pair > part * PART / 2) {
                        shared.rows.read(pair, row);
                    }
#pragma unroll
                    for (int step = 0; step < 2; step++) {
                        uint2 u[2];
#pragma unroll
                        for (int l = 0; l < 2; l++) {
                            u[l] = *(const uint2*)(own + (2 * pair + step) * (BORDER_CHANNELS * sizeof(value))
                                    + l * 8 * sizeof(shared.tokens[0]));
                        }
                        unsigned* rowsMatrices = row[step] + 2 * MATRICES_TILE;
                        float fed[4] = {}; // B, or C, of each line, twice
                        multiplyAdd(fed, rowsMatrices[0], rowsMatrices[1], ofMatrices);
#pragma unroll
                        for (int l = 0; l < 2; l++) {
                            rowsMatrices[l] = quad == MATRICES_QUAD ? ONES : rowsMatrices[l];
                        }
#pragma unroll
                        for (int tile = 0; tile < TILES; tile++) {
                            float s[4];
                            project(row[step], weights[tile], s);
#pragma unroll
                            for (int v = 0; v < 4; v++) {
                                int e = 4 * tile + v;
                                unsigned both = tile ? u[v / 2].y : u[v / 2].x;
                                float x = v % 2 ? high(both) : low(both);
                                s[v] = softplus2(s[v], leading);
                                float decay = exp2Fast(a[2 * tile + v % 2] * s[v]);
                                state[e] = ADJOINT ? decay * (state[e] + x * fed[v]) : decay * state[e] + s[v] * x * fed[v];
                                factor[e] *= decay;
                            }
                        }
                    }
                }
            }
        }
        // From the team's beginning to the beginning of each run: through a thread's two, then over groups of lanes.
        auto firstOf = [](int c) { return c / 2 * 4 + c % 2; }; // number of the first line; behind it by 2 is the second's
        float through[OWN], added[OWN];
#pragma unroll
        for (int c = 0; c < OWN; c++) {
            int e = firstOf(c);
            through[c] = factor[e] * factor[e + 2];
            added[c] = factor[e + 2] * state[e] + state[e + 2];
        }
        throughGroups(through, added);
        float throughBefore[OWN], addedBefore[OWN]; // by the groups before
#pragma unroll
        for (int c = 0; c < OWN; c++) {
            throughBefore[c] = __shfl_up_sync(~0u, through[c], 4);
            addedBefore[c] = __shfl_up_sync(~0u, added[c], 4);
        }
        // And from team to team, behind the last to the first, which has the next lines.
        float before[OWN] = {};
        if (team > 0 || begin > 0) {
            await(barrierOf(team));
            float4 x = entering[team][ofBlock / 4];
#pragma unroll
            for (int c = 0; c < OWN; c++) {
                before[c] = number(x, c);
            }
        }
        bool last = team == teams - 1;
        if (!last || begin + together < in.lines()) {
            int next = last ? 0 : team + 1;
#pragma unroll
            for (int c = 0; c < OWN; c++) {
                added[c] += through[c] * before[c];
            }
            if (group == 7) {
                entering[next][ofBlock / 4] = four(added);
            }
            arrive(barrierOf(next));
        }
#pragma unroll
        for (int c = 0; c < OWN; c++) {
            int e = firstOf(c);
            float entered = group ? addedBefore[c] + throughBefore[c] * before[c] : before[c];
            state[e + 2] = factor[e] * entered + state[e];
            state[e] = entered;
        }
        int line = begin + (team * LINES + 2 * group) * run, toNext = back ? -in.channels : in.channels;
        float* to = states + (long long)(back ? in.lines() - 1 - line : line) * in.channels;
#pragma unroll 4
        for (int i = 0; i < run; i++) {
            float4 x[TILES];
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                const float* entered = state + 4 * tile;
                x[tile] = four(entered);
                if (i > 0) {
                    float4 f = onTheWay[(2 * TILES * (i - 1) + tile) * MOST_THREADS];
                    float4 y = onTheWay[(2 * TILES * (i - 1) + TILES + tile) * MOST_THREADS];
                    x[tile] = make_float4(y.x + f.x * entered[0], y.y + f.y * entered[1], y.z + f.z * entered[2],
                            y.w + f.w * entered[3]);
                }
            }
            if (line + i < in.lines()) {
                *(float4*)to = make_float4(x[0].x, x[0].y, x[1].x, x[1].y);
            }
            if (line + run + i < in.lines()) {
                *(float4*)(to + run * toNext) = make_float4(x[0].z, x[0].w, x[1].z, x[1].w);
            }
            to += toNext;
        }
        begin += together;
        if (begin >= in.lines()) {
            blockDone(in.bordersDone + image);
            begin = 0;
            image += gridDim.z;
            states += (long long)gridDim.z * DIRECTIONS * in.lines() * in.channels;
        }
    }
    waitForCopies(); // the last half of a line, which nobody needs
}

// In the place of the file of this name: products and exchanges of a warp as PTX defines them, number by number.

inline float half(unsigned pair, int which) { return __uint_as_float(which ? pair & 0xffff0000u : pair << 16); }
inline float low(unsigned pair) { return half(pair, 0); }
inline float high(unsigned pair) { return half(pair, 1); }
inline unsigned packed(float low, float high) {
    value pair[2];
    fromFloat(low, pair[0]);
    fromFloat(high, pair[1]);
    return pair[0].bits | (unsigned)pair[1].bits << 16;
}

// What lane 4 row + quad % 4 shows in a register.
inline unsigned shownBy(int row, int quad, int number) { return warp->shown[4 * row + quad][number]; }

// d += a b; `left` gives a[row][k] and `right` b[k][column] of what lanes show.
template <typename Left, typename Right>
void multiplyAddShown(float d[4], std::initializer_list<unsigned> shown, int inner, Left left, Right right) {
    std::copy(shown.begin(), shown.end(), warp->shown[lane]);
    __syncwarp();
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < inner; k++) {
            d[i] += left(lane / 4 + i / 2 * 8, k) * right(k, lane % 4 * 2 + i % 2);
        }
    }
    __syncwarp();
}

void multiplyAdd(float d[4], const unsigned a[4], unsigned b0, unsigned b1) {
    multiplyAddShown(d, {a[0], a[1], a[2], a[3], b0, b1}, 16,
            [](int row, int k) { return half(shownBy(row % 8, k % 8 / 2, row / 8 + k / 8 * 2), k % 2); },
            [](int k, int column) { return half(shownBy(column, k % 8 / 2, 4 + k / 8), k % 2); });
}
void multiplyAdd(float d[4], unsigned a0, unsigned a1, unsigned b) {
    multiplyAddShown(d, {a0, a1, b}, 8, [](int row, int k) { return half(shownBy(row % 8, k / 2, row / 8), k % 2); },
            [](int k, int column) { return half(shownBy(column, k / 2, 2), k % 2); });
}

inline unsigned tf32(float x) { return __float_as_uint(x) & 0xffffe000u; }

void multiplyAdd(float d[4], float a0, float a1, float b) {
    multiplyAddShown(d, {tf32(a0), tf32(a1), tf32(b)}, 4,
            [](int row, int k) { return __uint_as_float(shownBy(row % 8, k, row / 8)); },
            [](int k, int column) { return __uint_as_float(shownBy(column, k, 2)); });
}
void multiplyAdd(float d[4], float a0, float a1, float a2, float a3, float b0, float b1) {
    multiplyAddShown(d, {tf32(a0), tf32(a1), tf32(a2), tf32(a3), tf32(b0), tf32(b1)}, 8,
            [](int row, int k) { return __uint_as_float(shownBy(row % 8, k % 4, row / 8 + k / 4 * 2)); },
            [](int k, int column) { return __uint_as_float(shownBy(column, k % 4, 4 + k / 4)); });
}

inline void aligned(const void* address, size_t bytes) {
    if ((size_t)address % bytes) {
        std::abort();
    }
}

// Rows of matrix i are at the addresses that lanes 8 i to 8 i + 7 give.
inline void loadRows(unsigned* a, int matrices, const value* row, bool transposed) {
    aligned(row, 16);
    warp->shown[lane][0] = (unsigned)(size_t)row;
    warp->shown[lane][1] = (unsigned)((size_t)row >> 32);
    __syncwarp();
    for (int i = 0; i < matrices; i++) {
        auto at = [&](unsigned r, unsigned c) {
            const unsigned* address = warp->shown[8 * i + r];
            return (unsigned)((const value*)(address[0] | (size_t)address[1] << 32))[c].bits;
        };
        unsigned r = lane / 4, c = lane % 4 * 2;
        a[i] = transposed ? at(c, r) | at(c + 1, r) << 16 : at(r, c) | at(r, c + 1) << 16;
    }
    __syncwarp();
}
void loadMatrices(unsigned a[4], const value* row) { loadRows(a, 4, row, false); }
void loadTransposed(unsigned a[4], const value* row) { loadRows(a, 4, row, true); }
void loadTransposed(unsigned& a0, unsigned& a1, const value* row) {
    unsigned a[2];
    loadRows(a, 2, row, true);
    a0 = a[0], a1 = a[1];
}

unsigned transposed(unsigned x) {
    warp->shown[lane][0] = x;
    __syncwarp();
    auto at = [](unsigned r, unsigned c) { return shownBy(r, c / 2, 0) >> c % 2 * 16 & 0xffff; };
    unsigned r = lane / 4, c = lane % 4 * 2, y = at(c, r) | at(c + 1, r) << 16;
    __syncwarp();
    return y;
}

// As early, or as late, as it may be.
struct Copy {
    void* to;
    const void* from;
    size_t bytes;
};
inline thread_local std::vector<Copy> begun, committed;

inline void copyAll(std::vector<Copy>& copies) {
    for (Copy copy : copies) {
        std::memcpy(copy.to, copy.from, copy.bytes);
    }
    copies.clear();
}
void copyLater(void* to, const void* from, size_t bytes) {
    aligned(to, bytes);
    aligned(from, bytes);
    mayBeRead(from);
    begun.push_back({to, from, bytes});
    if (!LATE_COPIES) {
        copyAll(begun);
    }
}
void copyLater(void* to, const void* from) { copyLater(to, from, 16); }
void copyWordLater(void* to, const void* from) { copyLater(to, from, 4); }
void commitCopies() {
    committed.insert(committed.end(), begun.begin(), begun.end());
    begun.clear();
}
void waitForCopies() { copyAll(committed); }

float4 readNow(const float* from) {
    aligned(from, 16);
    mayBeRead(from);
    return *(const float4*)from;
}

// Kernels run one after the other: what is awaited has been done.
void blockDone(int* done) {
    __syncthreads();
    if (threadIdx.x == 0) {
        ++*done;
    }
}
void awaitBlocks(const int* done, int blocks) {
    if (*done != blocks) {
        std::abort();
    }
    countAwaited = done;
}

void meet(int barrier, int threads) { named[barrier].arrive(threads, true); }
void arrive(int barrier) { named[barrier].arrive(64, false); }
void await(int barrier) { meet(barrier, 64); }

// Matrix products of tensor cores on `value`s of 16 bits, what brings matrices to the lanes of a warp, and how a warp waits: for
// copies, for another warp, or for blocks of another kernel.

#if TYPE == 1
#define PAIRS "bf16.bf16"
#define PAIR "bf16x2"
#else
#define PAIRS "f16.f16"
#define PAIR "f16x2"
#endif

// d += a b, each lane with its part: for a (16, 16) and b (16, 8), for a (16, 8) and b (8, 8).
__device__ void multiplyAdd(float d[4], const unsigned a[4], unsigned b0, unsigned b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32." PAIRS ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ void multiplyAdd(float d[4], unsigned a0, unsigned a1, unsigned b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32." PAIRS ".f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a0), "r"(a1), "r"(b));
}

// d += a b in tf32, for a (16, 4) and b (4, 8), for a (16, 8) and b (8, 8).
__device__ void multiplyAdd(float d[4], float a0, float a1, float b) {
    asm("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(__float_as_uint(a0)), "r"(__float_as_uint(a1)), "r"(__float_as_uint(b)));
}
__device__ void multiplyAdd(float d[4], float a0, float a1, float a2, float a3, float b0, float b1) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(__float_as_uint(a0)), "r"(__float_as_uint(a1)), "r"(__float_as_uint(a2)), "r"(__float_as_uint(a3)),
          "r"(__float_as_uint(b0)), "r"(__float_as_uint(b1)));
}

// Four (or two) matrices of 8 rows of 8 values from shared memory, whose rows' addresses the lanes hold eight by eight.
// A lane gets the values lane % 4 * 2 and one more of row lane / 4, and if transposed, of column lane / 4. A barrier must lie
// between them and what stores the rows: for all else the compiler may move them.
__device__ void loadMatrices(unsigned a[4], const value* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3]) : "r"((unsigned)__cvta_generic_to_shared(row)));
}
__device__ void loadTransposed(unsigned a[4], const value* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3]) : "r"((unsigned)__cvta_generic_to_shared(row)));
}
__device__ void loadTransposed(unsigned& a0, unsigned& a1, const value* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(a0), "=r"(a1) : "r"((unsigned)__cvta_generic_to_shared(row)));
}

// The transpose of a matrix of 8 by 8 that the lanes hold.
__device__ unsigned transposed(unsigned x) {
    unsigned y;
    asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(y) : "r"(x));
    return y;
}

__device__ unsigned packed(float low, float high) {
    unsigned y;
    asm("cvt.rn." PAIR ".f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
    return y;
}

__device__ float low(unsigned pair) {
#if TYPE == 1
    return __uint_as_float(pair << 16);
#else
    return toFloat(value{(unsigned short)pair});
#endif
}

__device__ float high(unsigned pair) {
#if TYPE == 1
    return __uint_as_float(pair & 0xffff0000u);
#else
    return toFloat(value{(unsigned short)(pair >> 16)});
#endif
}

// Begins to copy 16 bytes, or 4, to shared memory; what a thread begins up to `commitCopies` is there for all threads after each
// of them has called `waitForCopies`, and a barrier.
__device__ void copyLater(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" : : "r"((unsigned)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}
__device__ void copyWordLater(void* to, const void* from) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" : : "r"((unsigned)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}
__device__ void commitCopies() { asm volatile("cp.async.commit_group;" : : : "memory"); }
__device__ void waitForCopies() { asm volatile("cp.async.wait_group 0;" : : : "memory"); }

// Four numbers that no kernel writes that this one overlaps, asked for here: other reads the compiler may move behind a barrier,
// where they are waited for longer.
__device__ float4 readNow(const float* from) {
    float4 x;
    asm volatile("ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w) : "l"(from));
    return x;
}

// When all its threads have come here, a block counts as done with something; who awaits so many blocks of a kernel that runs
// before, or at the same time, sees what they have written. A warp waits as a whole.
__device__ void blockDone(int* done) {
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("red.release.gpu.global.add.s32 [%0], 1;" : : "l"(done) : "memory");
    }
}
__device__ void awaitBlocks(const int* done, int blocks) {
    if (threadIdx.x % 32 == 0) {
        int count;
        do {
            asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(count) : "l"(done) : "memory");
        } while (count < blocks);
    }
    __syncwarp();
}

// Some warps wait at a barrier for one another; as `__syncthreads`, but not for all of the block.
__device__ void meet(int barrier, int threads) { asm volatile("bar.sync %0, %1;" : : "r"(barrier), "r"(threads) : "memory"); }

// What a warp does before it arrives at a barrier, from 1 to 15, is seen by the one that awaits it there. Between two barriers
// of the block each is for one such pair of warps, once.
__device__ void arrive(int barrier) { asm volatile("bar.arrive %0, 64;" : : "r"(barrier) : "memory"); }
__device__ void await(int barrier) { meet(barrier, 64); }

// Step sizes, in units of ln 2.

// A number that stays in a register; as a constant the compiler would move it there before each use.
__device__ float inRegister(float x) {
    float y;
    asm volatile("mov.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// log2(1 + 2^x). The logarithm of 1 + z for z in [0, 1] is z times a minimax polynomial, of the degree that TYPE is
// worth; arithmetic, for the unit for exponentials and logarithms is the busier one. Relative errors are 3e-8, 4e-4 and
// 6e-5 before anything is rounded.
#if TYPE == 0
constexpr float LEADING = 5.253457796e-03f * LOG2E;
#elif TYPE == 1
constexpr float LEADING = -0.1072541184f;
#else
constexpr float LEADING = 0.05965084299f;
#endif

// The polynomial's first coefficient may be in a register.
__device__ float softplus2(float x, float leading = LEADING) {
    float z = exp2Fast(-fabsf(x)), p = leading;
#if TYPE == 0
    p = p * z - 2.958850739e-02f * LOG2E;
    p = p * z + 7.836166801e-02f * LOG2E;
    p = p * z - 1.367476970e-01f * LOG2E;
    p = p * z + 1.911143108e-01f * LOG2E;
    p = p * z - 2.484436989e-01f * LOG2E;
    p = p * z + 3.331927134e-01f * LOG2E;
    p = p * z - 4.999950152e-01f * LOG2E;
    p = p * z + 9.999999705e-01f * LOG2E;
#elif TYPE == 1
    p = p * z + 0.3664801642f;
    p = p * z - 0.7017470896f;
    p = p * z + 1.442128077f;
#else
    p = p * z - 0.2271180337f;
    p = p * z + 0.4418979399f;
    p = p * z - 0.7169872349f;
    p = p * z + 1.442613202f;
#endif
    return p * z + fmaxf(x, 0);
}

// The derivative of softplus at the place where softplus2 is s: 1 - 2^-s, as a series where that would cancel.
__device__ float logisticOf(float s) {
    float far = 1 - exp2Fast(-s);
#if TYPE == 0
    float dt = LN2 * s;
    return dt < 0.05f ? dt * (1 - dt * (0.5f - dt * (1.f / 6 - dt * (1.f / 24)))) : far;
#else
    return far;
#endif
}

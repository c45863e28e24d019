// The windows of a convolution as rows of a matrix, channels last, and the way back for gradients:
// io.audiomamba.fused.Im2colConvolution launches these kernels, compiled with CHANNELS, KERNEL, STRIDE, PADDING, ROW
// (values of a row, a multiple of VECTOR: the window's, then zeros), VECTOR, IN and OUT (types of the image and of rows) defined.

constexpr int C = CHANNELS;
constexpr int V = VECTOR;
constexpr int SEEN = KERNEL * KERNEL * C;

typedef Type<IN>::of In;
typedef Type<OUT>::of Out;

struct Grid {
    int images, height, width;
    int rowsHigh, rowsWide; // of the output
};

// Of the image.
struct Strides {
    int image, line, pixel, channel;
};

// A thread makes V values of a row.
extern "C" __global__ void im2col(const In* input, Out* rows, Grid grid, Strides step) {
    constexpr int VECTORS = ROW / V;
    int rowsOfBlock = blockDim.x / VECTORS, first = threadIdx.x % VECTORS * V;
    int row = blockIdx.x * rowsOfBlock + threadIdx.x / VECTORS;
    int x = row % grid.rowsWide, line = row / grid.rowsWide;
    int y = line % grid.rowsHigh, image = line / grid.rowsHigh;
    if (threadIdx.x / VECTORS >= rowsOfBlock || image >= grid.images) {
        return;
    }
    float values[V];
#pragma unroll
    for (int v = 0; v < V; v++) {
        int tap = (first + v) / C;
        int inY = y * STRIDE - PADDING + tap / KERNEL, inX = x * STRIDE - PADDING + tap % KERNEL;
        bool exists = first + v < SEEN && inY >= 0 && inY < grid.height && inX >= 0 && inX < grid.width;
        values[v] = exists
                ? load(input + (long long)image * step.image + (long long)inY * step.line + (long long)inX * step.pixel
                        + (first + v) % C * step.channel)
                : 0;
    }
    store<V>(rows + (long long)row * ROW + first, values);
}

// A thread sums what the rows say of one pixel, (B, H, W, C).
extern "C" __global__ void col2im(const Out* rows, In* gradient, Grid grid) {
    int pixel = blockIdx.x * blockDim.x + threadIdx.x, line = pixel / grid.width;
    int inX = pixel % grid.width, inY = line % grid.height, image = line / grid.height;
    if (image >= grid.images) {
        return;
    }
    float sums[C] = {};
    for (int tap = 0; tap < KERNEL * KERNEL; tap++) {
        int y = inY + PADDING - tap / KERNEL, x = inX + PADDING - tap % KERNEL;
        if (y >= 0 && y % STRIDE == 0 && y / STRIDE < grid.rowsHigh && x >= 0 && x % STRIDE == 0
                && x / STRIDE < grid.rowsWide) {
            long long row = ((long long)image * grid.rowsHigh + y / STRIDE) * grid.rowsWide + x / STRIDE;
#pragma unroll
            for (int c = 0; c < C; c++) {
                sums[c] += load(rows + row * ROW + tap * C + c);
            }
        }
    }
    for (int c = 0; c < C; c++) {
        store(gradient + (long long)pixel * C + c, sums[c]);
    }
}

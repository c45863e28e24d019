// The scan by chunks, forward and backward, on a CPU: prints errors. Arguments: images, rows, columns, channels, and whether a block
// goes through all chunks of an axis.

#include "scan.h"

namespace forward {
#include "selective_scan_forward.cu"
}
namespace backward {
#include "selective_scan_backward.cu"
}

int main(int, char** arguments) {
    Scan scan(std::atoi(arguments[1]), std::atoi(arguments[2]), std::atoi(arguments[3]), std::atoi(arguments[4]));
    bool whole = std::atoi(arguments[5]);
    unsigned B = scan.B, D = scan.D, elements = scan.L * D;
    unsigned threads = min(WARPS * 32u, (D + 31) / 32 * 32), blocks = (D + threads - 1) / threads;
    unsigned chunks = (scan.L + CHUNK - 1) / CHUNK, parts = whole ? 1 : chunks;
    bool carries = !whole && chunks > 1;
    typedef Numbers<Scan::value> Values;
    static_assert(backward::PROJECTED == Scan::OF_ROW);
    Values y(scan.u.size), gradU(y.size), steps(scan.gradSteps.size()), weight((size_t)4 * D * forward::RANK);
    bool narrow = FUSED && blocks == 1; // the projections' gradients; else each block's in float32
    Values narrowProjections(scan.gradProjections.size());
    std::vector<float> wideProjections(blocks * scan.gradProjections.size());
    void* gradProjections = narrow ? (void*)narrowProjections.begin() : wideProjections.data();
    size_t perChunk = (size_t)B * 4 * chunks * D;
    std::vector<float> bias(4 * D), kept(perChunk * TILES * N), sums(perChunk), states(perChunk * N), adjoints(perChunk * N);
    std::vector<float> partial(2 * y.size), parameters(B * parts * scan.gradParameters.size());
    launch({(unsigned)(weight.size + 255) / 256, 1, 1}, 256, 0, [&] {
        forward::prepare(scan.weight.data(), scan.bias.data(), weight.begin(), bias.data(), D);
    });
    forward::Operands in{scan.u.begin(), scan.projections.begin(), weight.begin(), bias.data(), scan.aLogs.data(),
            scan.skip.data(), {scan.H, scan.W, scan.D}};
    backward::Operands again{scan.u.begin(), scan.projections.begin(), weight.begin(), bias.data(), scan.aLogs.data(),
            scan.skip.data(), {scan.H, scan.W, scan.D}};
    auto alongChunks = [&](unsigned x, auto kernel) { launch({x, blocks, B}, threads, 0, kernel); };
    // Runs `merged` for a result, with the place where parts of it wait.
    auto forAxes = [&](Scan::value* result, auto merged, auto join) {
        if (whole) {
            alongChunks(2, [&] { merged(partial.data(), BOTH_AXES); });
            launch({(elements + 255) / 256, 1, B}, 256, 0, join);
        } else {
            for (int axis = 0; axis < 2; axis++) {
                alongChunks(chunks, [&] { merged(TYPE ? partial.data() : (float*)result, axis); });
            }
        }
    };
    if (carries) {
        alongChunks(2 * chunks, [&] { forward::forward_local(in, states.data(), sums.data()); });
        alongChunks(4 * N, [&] { forward::carry(in, states.data(), sums.data(), 0); });
        alongChunks(2 * chunks, [&] { backward::backward_local(again, adjoints.data(), scan.gradY.begin()); });
        alongChunks(4 * N, [&] { backward::carry(again, adjoints.data(), sums.data(), 1); });
    }
    forAxes(y.begin(), [&](float* partial, int axis) {
        forward::forward_merged(in, carries ? states.data() : nullptr, kept.data(), partial, y.begin(), axis);
    }, [&] { forward::join(in, partial.data(), scan.u.begin(), y.begin()); });
    forAxes(gradU.begin(), [&](float* partial, int axis) {
        backward::backward_merged(again, scan.gradY.begin(), kept.data(), carries ? adjoints.data() : nullptr,
                {partial, gradU.begin(), steps.begin(), gradProjections, parameters.data()}, axis);
    }, [&] { backward::join(again, partial.data(), scan.gradY.begin(), gradU.begin()); });
    if (narrow) {
        scan.compare(y, gradU, narrowProjections, steps, parameters);
    } else {
        scan.compare(y, gradU, Scan::summed(wideProjections, scan.gradProjections.size()), steps, parameters);
    }
}

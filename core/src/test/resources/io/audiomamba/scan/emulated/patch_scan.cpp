// The scan over patches, forward and backward, on a CPU: prints what blocks of patches, and along borders, have in shared memory,
// then errors. Arguments: images, rows, columns, channels, blocks of the gradient's kernel.

#include "scan.h"

namespace forward {
#include "patch_scan_forward.cu"
}
namespace backward {
#include "patch_scan_backward.cu"
}

int main(int, char** arguments) {
    Scan scan(std::atoi(arguments[1]), std::atoi(arguments[2]), std::atoi(arguments[3]), std::atoi(arguments[4]));
    unsigned blocks = std::atoi(arguments[5]), D = scan.D, B = scan.B;
    int lines = scan.L / 8, patches = scan.tokens / 128;
    typedef Numbers<Scan::value> Values;
    Values y(scan.u.size), gradU(y.size), gradProjections(scan.gradProjections.size()), steps(scan.gradSteps.size());
    std::vector<forward::OfEight> eights(4 * D / 8);
    std::vector<float> skip(D), states(scan.tokens / 8 * 4 * D), adjoints(states.size());
    std::vector<float> parameters(blocks * scan.gradParameters.size());
    std::vector<int> bordersDone(B, -1);
    auto prepare = [&] {
        launch({(4 * D * forward::INNER + 255) / 256, 1, 1}, 256, 0, [&] {
            forward::prepare(scan.weight.data(), scan.bias.data(), scan.aLogs.data(), scan.skip.data(), eights.data(),
                    skip.data(), bordersDone.data(), D, B);
        });
    };
    forward::Operands in{scan.u.begin(), scan.projections.begin(), eights.data(), skip.data(), bordersDone.data(),
            scan.H, scan.W, scan.D};
    backward::Operands again{scan.u.begin(), scan.projections.begin(), (backward::OfEight*)eights.data(), skip.data(),
            bordersDone.data(), scan.H, scan.W, scan.D};
    int run = min(4, (lines + 15) / 16);
    unsigned teams = min(forward::TEAMS, (lines + 16 * run - 1) / (16 * run)), threads = 32 * forward::TEAM * teams;
    dim3 alongBorders = {D / (unsigned)BORDER_CHANNELS, 4, (B + 1) / 2}; // most blocks have two images
    size_t ofBorders = teams * sizeof(forward::TeamShared) + (run - 1) * forward::MOST_THREADS * sizeof(float[2][forward::NUMBERS]);
    prepare();
    launch(alongBorders, threads, ofBorders, [&] { forward::forward_borders(in, states.data(), run, B); });
    overlapped = {states, B, bordersDone.data()};
    launch({scan.W / 8u, scan.H / 16u, (unsigned)B}, 128, sizeof(forward::PatchShared),
            [&] { forward::forward_patches(in, states.data(), y.begin()); });
    overlapped = {};
    prepare();
    launch(alongBorders, threads, ofBorders,
            [&] { backward::backward_borders(again, scan.gradY.begin(), adjoints.data(), run, B); });
    overlapped = {adjoints, B, bordersDone.data()};
    launch({blocks, 1, 1}, 128, sizeof(backward::PatchShared), [&] {
        backward::backward_patches(again, scan.gradY.begin(), states.data(), adjoints.data(),
                {gradU.begin(), gradProjections.begin(), steps.begin(), parameters.data()}, patches);
    });
    std::printf("%zu %zu %zu\n", sizeof(forward::PatchShared), sizeof(backward::PatchShared), ofBorders);
    scan.compare(y, gradU, gradProjections, steps, parameters);
}

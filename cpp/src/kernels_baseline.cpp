// The vector kernels for the compiler's default instruction set.
#include "densnet/vector_kernels.hpp"

#define DENSNET_LANES 2
#define DENSNET_NAMESPACE baseline
#include "vector/all.hpp"

namespace densnet {

const VectorKernels* baseline_kernels() {
    static const VectorKernels kernels = {
        "baseline",
        baseline::W,
        baseline::solid_harmonics,
        baseline::couple,
        baseline::radial_overlap,
        baseline::radial_coulomb,
        baseline::place<false>,
        baseline::place<true>,
        baseline::transpose_block,
        baseline::stream_rows,
        baseline::form,
        baseline::density,
        baseline::potential,
    };
    return &kernels;
}

}  // namespace densnet

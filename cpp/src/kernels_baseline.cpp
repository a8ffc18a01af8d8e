// The vector kernels for the compiler's default instruction set.
#include "densnet/vector_kernels.hpp"

#define DENSNET_LANES 2
#define DENSNET_NAME "baseline"
#define DENSNET_NAMESPACE baseline
#include "vector/all.hpp"

namespace densnet {

const VectorKernels* baseline_kernels() { return &baseline::kernels; }

}  // namespace densnet

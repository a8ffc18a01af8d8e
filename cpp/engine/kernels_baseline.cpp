// The kernels of the engine for the compiler's default instruction set.
#include "kernels.hpp"

#define DENSNET_BYTES 16
#define DENSNET_NAMESPACE baseline
#include "vector/all.hpp"

namespace densnet {
namespace engine {

const KernelSet* baseline_kernels() {
    static const KernelSet set = {DENSNET_ENGINE_KERNELS("baseline", baseline, float),
                                  DENSNET_ENGINE_KERNELS("baseline", baseline, double)};
    return &set;
}

}  // namespace engine
}  // namespace densnet

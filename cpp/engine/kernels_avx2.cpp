// The kernels of the engine for AVX2 with FMA.
#include "kernels.hpp"

#if defined(__x86_64__)

// In force to the end of the file, where templates are instantiated.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#define DENSNET_BYTES 32
#define DENSNET_NAMESPACE avx2
#include "vector/all.hpp"

namespace densnet {
namespace engine {

const KernelSet* avx2_kernels() {
    static const KernelSet set = {DENSNET_ENGINE_KERNELS("AVX2", avx2, float),
                                  DENSNET_ENGINE_KERNELS("AVX2", avx2, double)};
    return &set;
}

}  // namespace engine
}  // namespace densnet

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else

namespace densnet {
namespace engine {

const KernelSet* avx2_kernels() { return nullptr; }

}  // namespace engine
}  // namespace densnet

#endif

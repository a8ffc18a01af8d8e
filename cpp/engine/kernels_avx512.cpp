// The kernels of the engine for AVX-512 (F and DQ).
#include "kernels.hpp"

#if defined(__x86_64__)

// In force to the end of the file, where templates are instantiated.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,avx512f,avx512dq")
#endif

#define DENSNET_BYTES 64
#define DENSNET_NAMESPACE avx512
#include "vector/all.hpp"

namespace densnet {
namespace engine {

const KernelSet* avx512_kernels() {
    static const KernelSet set = {DENSNET_ENGINE_KERNELS("AVX-512", avx512, float),
                                  DENSNET_ENGINE_KERNELS("AVX-512", avx512, double)};
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

const KernelSet* avx512_kernels() { return nullptr; }

}  // namespace engine
}  // namespace densnet

#endif

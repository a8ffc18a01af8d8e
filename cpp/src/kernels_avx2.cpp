// The vector kernels for AVX2 and FMA.
#include "densnet/vector_kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define DENSNET_LANES 4
#define DENSNET_NAME "AVX2"
#define DENSNET_NAMESPACE avx2
#include "vector/all.hpp"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace densnet {

const VectorKernels* avx2_kernels() { return &avx2::kernels; }

}  // namespace densnet

#else

namespace densnet {

const VectorKernels* avx2_kernels() { return nullptr; }

}  // namespace densnet

#endif

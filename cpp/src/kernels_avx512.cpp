// The vector kernels for AVX-512 (F and DQ).
#include "densnet/vector_kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq"))), apply_to = function)
#else
// GCC 12 takes the undefined operands of its own intrinsics for a mistake (bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq")
#endif

#define DENSNET_LANES 8
#define DENSNET_NAME "AVX-512"
#define DENSNET_NAMESPACE avx512
#include "vector/all.hpp"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace densnet {

const VectorKernels* avx512_kernels() { return &avx512::kernels; }

}  // namespace densnet

#else

namespace densnet {

const VectorKernels* avx512_kernels() { return nullptr; }

}  // namespace densnet

#endif

// The vector kernels for AVX-512 (F and DQ).
#include "densnet/vector_kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq"))), apply_to = function)
#else
// GCC 12 takes the undefined operands of its own intrinsics for a mistake (bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq")
#endif

#define DENSNET_LANES 8
#define DENSNET_NAMESPACE avx512
#include "vector/all.hpp"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace densnet {

const VectorKernels* avx512_kernels() {
    static const VectorKernels kernels = {
        "AVX-512",
        avx512::W,
        avx512::solid_harmonics,
        avx512::couple,
        avx512::radial_overlap,
        avx512::radial_coulomb,
        avx512::place<false>,
        avx512::place<true>,
        avx512::transpose_block,
        avx512::stream_rows,
        avx512::form,
        avx512::density,
        avx512::potential,
    };
    return &kernels;
}

}  // namespace densnet

#else

namespace densnet {

const VectorKernels* avx512_kernels() { return nullptr; }

}  // namespace densnet

#endif

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
#define DENSNET_NAMESPACE avx2
#include "vector/all.hpp"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace densnet {

const VectorKernels* avx2_kernels() {
    static const VectorKernels kernels = {
        "AVX2",
        avx2::W,
        avx2::solid_harmonics,
        avx2::couple,
        avx2::radial_overlap,
        avx2::radial_coulomb,
        avx2::place<false>,
        avx2::place<true>,
        avx2::transpose_block,
        avx2::stream_rows,
        avx2::form,
        avx2::density,
        avx2::potential,
    };
    return &kernels;
}

}  // namespace densnet

#else

namespace densnet {

const VectorKernels* avx2_kernels() { return nullptr; }

}  // namespace densnet

#endif

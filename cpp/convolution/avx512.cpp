// The loops of a convolution for AVX-512.
#include <type_traits>

#include "convolution.hpp"

#if defined(__x86_64__)

// In force to the end of the file, where templates are instantiated.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512vl")
#endif

namespace densnet {
namespace avx512_loops {
#include "body.hpp"
}  // namespace avx512_loops

const ConvolutionSet* avx512_convolution() {
    using namespace avx512_loops;
    static const ConvolutionSet set = {"AVX-512",
                                       {sum<float>, by_radial<float>, by_polynomials<float>},
                                       {sum<double>, by_radial<double>, by_polynomials<double>}};
    return &set;
}

}  // namespace densnet

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else

namespace densnet {
const ConvolutionSet* avx512_convolution() { return nullptr; }
}  // namespace densnet

#endif

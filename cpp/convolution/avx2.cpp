// The loops of a convolution for AVX2.
#include <type_traits>

#include "convolution.hpp"

#if defined(__x86_64__)

// In force to the end of the file, where templates are instantiated.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

namespace densnet {
namespace avx2_loops {
#include "body.hpp"
}  // namespace avx2_loops

const ConvolutionSet* avx2_convolution() {
    using namespace avx2_loops;
    static const ConvolutionSet set = {"AVX2",
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
const ConvolutionSet* avx2_convolution() { return nullptr; }
}  // namespace densnet

#endif

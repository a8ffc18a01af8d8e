// The loops of a convolution for AVX2.
#include <algorithm>

#include "convolution.hpp"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

namespace densnet {
namespace avx2_convolution {
#include "body.hpp"
}  // namespace avx2_convolution
}  // namespace densnet

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace densnet {
const ConvolutionKernels<float>* avx2_float_convolution() {
    static const ConvolutionKernels<float> kernels = {"avx2", avx2_convolution::sum<float>, avx2_convolution::edges<float>};
    return &kernels;
}
const ConvolutionKernels<double>* avx2_double_convolution() {
    static const ConvolutionKernels<double> kernels = {"avx2", avx2_convolution::sum<double>, avx2_convolution::edges<double>};
    return &kernels;
}
}  // namespace densnet
#endif

// The loops of a convolution for AVX512.
#include <algorithm>

#include "convolution.hpp"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx2,fma")
#endif

namespace densnet {
namespace avx512_convolution {
#include "body.hpp"
}  // namespace avx512_convolution
}  // namespace densnet

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace densnet {
const ConvolutionKernels<float>* avx512_float_convolution() {
    static const ConvolutionKernels<float> kernels = {"avx512", avx512_convolution::sum<float>, avx512_convolution::edges<float>};
    return &kernels;
}
const ConvolutionKernels<double>* avx512_double_convolution() {
    static const ConvolutionKernels<double> kernels = {"avx512", avx512_convolution::sum<double>, avx512_convolution::edges<double>};
    return &kernels;
}
}  // namespace densnet
#endif

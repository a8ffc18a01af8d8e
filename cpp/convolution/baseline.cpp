// The loops of a convolution for any processor.
#include <algorithm>

#include "convolution.hpp"


namespace densnet {
namespace baseline_convolution {
#include "body.hpp"
}  // namespace baseline_convolution
}  // namespace densnet

namespace densnet {
const ConvolutionKernels<float>* baseline_float_convolution() {
    static const ConvolutionKernels<float> kernels = {"baseline", baseline_convolution::sum<float>, baseline_convolution::edges<float>};
    return &kernels;
}
const ConvolutionKernels<double>* baseline_double_convolution() {
    static const ConvolutionKernels<double> kernels = {"baseline", baseline_convolution::sum<double>, baseline_convolution::edges<double>};
    return &kernels;
}
}  // namespace densnet

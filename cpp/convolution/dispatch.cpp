#include "convolution.hpp"
#include "densnet/instruction_set.hpp"

namespace densnet {

const ConvolutionSet* baseline_convolution();
const ConvolutionSet* avx2_convolution();
const ConvolutionSet* avx512_convolution();

const ConvolutionSet& convolution_set() {
    static const ConvolutionSet* const set =
        of_this_processor(avx512_convolution, avx2_convolution, baseline_convolution).front();
    return *set;
}

}  // namespace densnet

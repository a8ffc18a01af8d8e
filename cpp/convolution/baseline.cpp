// The loops of a convolution for any processor.
#include <type_traits>

#include "convolution.hpp"

namespace densnet {
namespace baseline_loops {
#include "body.hpp"
}  // namespace baseline_loops

const ConvolutionSet* baseline_convolution() {
    using namespace baseline_loops;
    static const ConvolutionSet set = {"baseline",
                                       {sum<float>, by_radial<float>, by_polynomials<float>},
                                       {sum<double>, by_radial<double>, by_polynomials<double>}};
    return &set;
}

}  // namespace densnet

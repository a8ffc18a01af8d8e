#include "convolution.hpp"

namespace densnet {

#define DENSNET_DECLARE(set)                                    \
    const ConvolutionKernels<float>* set##_float_convolution(); \
    const ConvolutionKernels<double>* set##_double_convolution();
DENSNET_DECLARE(baseline)
DENSNET_DECLARE(avx2)
DENSNET_DECLARE(avx512)
#undef DENSNET_DECLARE

namespace {

enum class InstructionSet { baseline, avx2, avx512 };

InstructionSet widest() {
#if defined(__x86_64__)
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 = __builtin_cpu_supports("avx512f") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (has_avx2 && has_avx512) return InstructionSet::avx512;
    if (has_avx2) return InstructionSet::avx2;
#endif
    return InstructionSet::baseline;
}

}  // namespace

#if defined(__x86_64__)
#define DENSNET_CHOOSE(real)                                                               \
    template <>                                                                            \
    const ConvolutionKernels<real>& convolution_kernels<real>() {                          \
        static const ConvolutionKernels<real>* chosen =                                    \
            widest() == InstructionSet::avx512 ? avx512_##real##_convolution()             \
            : widest() == InstructionSet::avx2 ? avx2_##real##_convolution()               \
                                               : baseline_##real##_convolution();          \
        return *chosen;                                                                    \
    }
#else
#define DENSNET_CHOOSE(real)                                                               \
    template <>                                                                            \
    const ConvolutionKernels<real>& convolution_kernels<real>() {                          \
        return *baseline_##real##_convolution();                                           \
    }
#endif
DENSNET_CHOOSE(float)
DENSNET_CHOOSE(double)
#undef DENSNET_CHOOSE

}  // namespace densnet

// The choice among what was compiled for several instruction sets, the same for every library.
#pragma once

#include <vector>

namespace densnet {

// From the widest that this processor has to the one that every processor has. The functions return
// null where their instruction set does not exist.
template <typename Set>
std::vector<const Set*> of_this_processor(const Set* (*avx512)(), const Set* (*avx2)(),
                                          const Set* (*baseline)()) {
    std::vector<const Set*> found;
#if defined(__x86_64__)
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 = __builtin_cpu_supports("avx512f") &&
                            __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512vl");
    if (has_avx2 && has_avx512) found.push_back(avx512());
    if (has_avx2) found.push_back(avx2());
#else
    (void)avx512;
    (void)avx2;
#endif
    found.push_back(baseline());
    return found;
}

}  // namespace densnet

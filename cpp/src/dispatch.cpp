#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "densnet/vector_kernels.hpp"

namespace densnet {

const VectorKernels* baseline_kernels();
const VectorKernels* avx2_kernels();
const VectorKernels* avx512_kernels();

namespace {

// From the widest to the narrowest that this processor has.
std::vector<const VectorKernels*> find() {
    std::vector<const VectorKernels*> found;
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
    if (avx2 && avx512) found.push_back(avx512_kernels());
    if (avx2) found.push_back(avx2_kernels());
#endif
    found.push_back(baseline_kernels());
    return found;
}

std::atomic<const VectorKernels*>& current() {
    static std::atomic<const VectorKernels*> kernels{available_kernels().front()};
    return kernels;
}

}  // namespace

const std::vector<const VectorKernels*>& available_kernels() {
    static const std::vector<const VectorKernels*> kernels = find();
    return kernels;
}

const VectorKernels& vector_kernels() { return *current().load(std::memory_order_relaxed); }

void use_kernels(const std::string& name) {
    for (const VectorKernels* kernels : available_kernels()) {
        if (name == kernels->name) {
            current().store(kernels);
            return;
        }
    }
    throw std::invalid_argument("name must be an instruction set of this processor, got " + name);
}

std::size_t block_scratch_size(int l_a, int l_b, int n_a, int n_b) {
    const int rows = (std::min(l_a, l_b) + 1) * (2 * l_a + 2);
    (void)n_a;
    return static_cast<std::size_t>(rows) * block_row_size(n_b * (2 * l_b + 1)) + 2 * kMaxLanes;
}

std::size_t form_scratch_size(int n_functions_a, int n_functions_b, int n_primitives_a,
                              int n_primitives_b) {
    // coefficients and result, energies and slopes, multipoles (at most one per function, at least the
    // table of all degrees) and potentials, of both sides
    const int multipoles_a = std::max(n_functions_a, (kMaxL + 1) * (kMaxL + 1));
    const int multipoles_b = std::max(n_functions_b, (kMaxL + 1) * (kMaxL + 1));
    return static_cast<std::size_t>(kMaxLanes) * 2 *
           (n_functions_a + n_functions_b + n_primitives_a + n_primitives_b + multipoles_a +
            multipoles_b);
}

}  // namespace densnet

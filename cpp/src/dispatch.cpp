#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "densnet/instruction_set.hpp"
#include "densnet/vector_kernels.hpp"

namespace densnet {

const VectorKernels* baseline_kernels();
const VectorKernels* avx2_kernels();
const VectorKernels* avx512_kernels();

namespace {

std::atomic<const VectorKernels*>& current() {
    static std::atomic<const VectorKernels*> kernels{available_kernels().front()};
    return kernels;
}

}  // namespace

const std::vector<const VectorKernels*>& available_kernels() {
    static const std::vector<const VectorKernels*> kernels =
        of_this_processor(avx512_kernels, avx2_kernels, baseline_kernels);
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

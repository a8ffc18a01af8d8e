#include <atomic>
#include <stdexcept>

#include "densnet/instruction_set.hpp"
#include "kernels.hpp"

namespace densnet {
namespace engine {

const KernelSet* baseline_kernels();
const KernelSet* avx2_kernels();
const KernelSet* avx512_kernels();

namespace {

std::atomic<const KernelSet*>& current() {
    static std::atomic<const KernelSet*> set{available_kernels().front()};
    return set;
}

}  // namespace

const std::vector<const KernelSet*>& available_kernels() {
    static const std::vector<const KernelSet*> sets =
        of_this_processor(avx512_kernels, avx2_kernels, baseline_kernels);
    return sets;
}

const KernelSet& kernels() { return *current().load(std::memory_order_relaxed); }

void use_kernels(const std::string& name) {
    for (const KernelSet* set : available_kernels()) {
        if (name == set->single.name) {
            current().store(set);
            return;
        }
    }
    throw std::invalid_argument("name must be an instruction set of this processor, got " + name);
}

std::size_t edge_scratch_size(int l_max, int width, int n_padded) {
    const std::size_t n_columns = static_cast<std::size_t>(l_max + 1) * width;
    return 2 * kEdgeChunk * n_columns + 2 * kMaxL * n_padded + 2 * static_cast<std::size_t>(n_padded) * width;
}

}  // namespace engine
}  // namespace densnet

// Blocks of a metric between two atoms, as the matrix routines need them.
#pragma once

#include <cstddef>
#include <vector>

#include "densnet/basis.hpp"
#include "densnet/vector_kernels.hpp"

namespace densnet {

// Where the coupled harmonics of every pair of degrees begin in the table of one atom pair.
struct CouplingLayout {
    // Of all k, or of the last one only.
    explicit CouplingLayout(int l_max, bool last_only = false);
    int l_max;
    std::size_t offset[kMaxL + 1][kMaxL + 1];
    std::size_t size;  // of the table of one pair, 8 spare places included
};

// First function of every atom; the last entry is their number.
std::vector<std::size_t> first_functions(const Basis& basis, const std::int64_t* species,
                                         std::size_t n_atoms);

// Scratch of one thread, which outlives a call.
struct BlockScratch {
    std::vector<double> harmonics, couplings, radial, contracted, place, block, mirror;
    std::vector<int> near;
};

inline void grow(std::vector<double>& buffer, std::size_t size) {
    if (buffer.size() < size) buffer.resize(size);
}

// Tables G of up to `lanes` vectors A - B, for degrees up to l_a and l_b.
void couple_vectors(const VectorKernels& kernels, const CouplingLayout& layout, int l_a, int l_b,
                    const double vectors[3][kMaxLanes], BlockScratch& scratch);

// Write the block of one atom pair; `lane` says whose table of couple_vectors is meant.
void write_block(Metric metric, const VectorKernels& kernels, const CouplingLayout& layout,
                 const Species& a, const Species& b, const SpeciesPair& pair, int lane,
                 double squared_distance, bool write_zeros, double* out, std::ptrdiff_t out_stride,
                 BlockScratch& scratch);

}  // namespace densnet

// Rows of the Coulomb metric between atoms that are multipoles to each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "blocks.hpp"
#include "densnet/basis.hpp"
#include "densnet/vector_kernels.hpp"

namespace densnet {

// The rows of atom a and the columns of the atoms `others`, all of one structure, first[atom] the
// first function of an atom; there is at least one. `matrix` is (first.back(), first.back()).
void write_distant_rows(const VectorKernels& kernels, const CouplingLayout& last_terms,
                        const Basis& basis, const std::int64_t* species, const double* positions,
                        const std::vector<std::size_t>& first, std::size_t a,
                        const std::vector<std::size_t>& others, bool streamed, double* matrix,
                        BlockScratch& scratch);

}  // namespace densnet

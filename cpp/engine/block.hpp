// Some structures of a batch that are evaluated together: atoms sorted by species, and their edges.
#pragma once

#include <cstdint>
#include <vector>

#include "densnet/engine.hpp"
#include "memory.hpp"

namespace densnet {
namespace engine {

struct Block {
    std::size_t first_structure, n_structures;
    int n_atoms;                     // of all its structures
    std::vector<int> species;        // of each atom
    std::vector<int> first_of;       // (n_species + 1,): atoms of species s are first_of[s] …
    std::vector<std::size_t> atom;   // index of each atom in the batch
    std::vector<int> structure;      // of each atom, within the batch
    std::vector<int> first_edge;     // (n_atoms + 1,)
    std::vector<int> sender;         // of each edge, within the block
    std::vector<int> pair;           // receiver's species · n_species + sender's
    std::vector<double> vectors;     // (n_edges, 3), bohr
    int n_edges() const { return static_cast<int>(sender.size()); }
};

// Fill a block; edges as long as the cutoff or longer have no effect and are left out. `row` is the
// first edge of each receiver of the batch in its graph, empty without one.
void fill_block(const Batch& batch, int n_species, double cutoff, const std::vector<std::size_t>& row,
                std::size_t first_structure, std::size_t n_structures, Block& block);

}  // namespace engine
}  // namespace densnet

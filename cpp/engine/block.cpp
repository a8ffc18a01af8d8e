#include "block.hpp"

namespace densnet {
namespace engine {

void fill_block(const Batch& batch, int n_species, double cutoff, const std::vector<std::size_t>& row,
                std::size_t first_structure, std::size_t n_structures, Block& block) {
    const std::size_t n_atoms = batch.n_atoms;
    block.first_structure = first_structure;
    block.n_structures = n_structures;
    block.n_atoms = static_cast<int>(n_atoms * n_structures);
    block.species.clear();
    block.atom.clear();
    block.structure.clear();
    block.first_of.assign(1, 0);
    // Where an atom of the batch stands in the block.
    const std::size_t offset = first_structure * n_atoms;
    std::vector<int> place(n_atoms * n_structures);
    for (int s = 0; s < n_species; ++s) {
        for (std::size_t k = 0; k < n_structures; ++k) {
            for (std::size_t a = 0; a < n_atoms; ++a) {
                if (batch.species[a] != s) continue;
                place[k * n_atoms + a] = static_cast<int>(block.atom.size());
                block.atom.push_back(offset + k * n_atoms + a);
                block.species.push_back(s);
                block.structure.push_back(static_cast<int>(first_structure + k));
            }
        }
        block.first_of.push_back(static_cast<int>(block.atom.size()));
    }
    block.first_edge.assign(1, 0);
    block.sender.clear();
    block.pair.clear();
    block.vectors.clear();
    const double limit = cutoff * cutoff;
    const auto add = [&](std::size_t i, std::size_t j, const double* shift) {
        const double* at_i = batch.positions + 3 * i;
        const double* at_j = batch.positions + 3 * j;
        double r[3], square = 0.0;
        for (int axis = 0; axis < 3; ++axis) {
            r[axis] = at_j[axis] - at_i[axis] + (shift == nullptr ? 0.0 : shift[axis]);
            square += r[axis] * r[axis];
        }
        if (!(square < limit)) return;
        block.sender.push_back(place[j - offset]);
        block.pair.push_back(static_cast<int>(batch.species[i % n_atoms] * n_species + batch.species[j % n_atoms]));
        block.vectors.insert(block.vectors.end(), r, r + 3);
    };
    for (const std::size_t i : block.atom) {
        if (batch.graph != nullptr) {
            for (std::size_t e = row[i]; e < row[i + 1]; ++e) {
                add(i, static_cast<std::size_t>(batch.graph->senders[e]), batch.graph->shifts + 3 * e);
            }
        } else {
            const std::size_t begin = i / n_atoms * n_atoms;
            for (std::size_t j = begin; j < begin + n_atoms; ++j) {
                if (j != i) add(i, j, nullptr);
            }
        }
        block.first_edge.push_back(block.n_edges());
    }
}

}  // namespace engine
}  // namespace densnet

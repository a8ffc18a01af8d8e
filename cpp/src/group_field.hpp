// The Coulomb potential between groups of distant atoms: their multipoles are collected about the
// centres of the groups, exchanged as expansions, and spread over the atoms again. Pairs of atoms then
// cost as much as pairs of groups, of which there are a hundred times fewer.
#pragma once

#include <cstddef>
#include <vector>

#include "atom_groups.hpp"
#include "densnet/kernel.hpp"
#include "densnet/vector_kernels.hpp"

namespace densnet {

// Multipoles of all atoms and potentials on them: [structure][term of an expansion][real, imaginary][place
// of atom], rows `stride` and structures `size` apart.
struct AtomTerms {
    const std::size_t* place;
    std::size_t stride, size;
    const double* multipoles;
    double* potentials;
};

class GroupField {
public:
    // Finds the pairs of groups that are better exchanged as expansions; none for small molecules.
    GroupField(const Structures& structures, const AtomGroups& groups);

    bool empty() const { return pairs_.empty(); }

    // The number of an atom's group among those of all structures, what is in a group, and which others
    // exchange expansions with it.
    std::size_t group_of(std::size_t structure, std::size_t atom) const {
        return group_of_[structure * structures_.n_atoms + atom];
    }
    const AtomGroup& group(std::size_t number) const { return groups_[number]; }
    const std::vector<std::size_t>& partners(std::size_t group) const { return partners_[group]; }

    // Adds to the potentials, up to l_max of each atom, or l_max + 1 for gradients.
    void add(const AtomTerms& atoms, bool gradients, int n_threads) const;

private:
    struct Pair {
        std::size_t a, b;
        int order;
        double saving;  // of time, ns
    };

    int l_max_of(std::size_t atom) const {
        return structures_.basis->species()[structures_.species[atom]].l_max;
    }
    void find_pairs();
    double exchange_nanoseconds() const;
    void choose_order();
    // use(job, atoms, count) for every vector of atoms of a group, and the rest of them.
    template <typename Use>
    void for_each_vector(std::size_t group, const Use& use) const;
    void collect(std::size_t group, const AtomTerms& atoms, double* expansion, double* scratch) const;
    void spread(std::size_t group, const double* expansion, bool gradients, const AtomTerms& atoms,
                double* scratch) const;
    void exchange(std::size_t first_pair, std::size_t n_pairs, const double* multipoles, double* potentials,
                  double* scratch) const;

    const Structures& structures_;
    std::size_t per_structure_;
    std::vector<AtomGroup> groups_;      // [structure][group], atoms ascending by l_max
    std::vector<std::size_t> group_of_;  // [structure][atom]
    std::vector<Pair> pairs_;            // highest order first
    std::vector<int> order_;             // of each group: the highest of its pairs
    std::vector<std::vector<std::size_t>> partners_;  // of each group
    int highest_ = 0;
};

}  // namespace densnet

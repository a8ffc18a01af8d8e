// The part of the fused forms of the Coulomb metric that comes from distant atoms: multipoles in the
// potentials of multipoles.
#pragma once

#include <cstddef>
#include <vector>

#include "densnet/kernel.hpp"
#include "densnet/vector_kernels.hpp"
#include "group_field.hpp"

namespace densnet {

class DistantField {
public:
    // first[atom] is the first function of an atom.
    DistantField(const Structures& structures, const AtomGroups& groups, const double* coefficients,
                 const std::vector<std::size_t>& first);

    void compute(int n_threads, bool gradients);

    // Add the potentials of one structure to M c, and what follows from them to the gradients of cᵀM c:
    // by_position (n_atoms, 3), unless null, and the energy of every primitive of the basis.
    void add(std::size_t structure, double* applied, double* by_position, double* energy) const;

private:
    std::size_t table_size() const { return n_rows_ * stride_; }
    const Species& species(std::size_t atom) const {
        return structures_.basis->species()[structures_.species[atom]];
    }
    void fill_positions();
    void fill_multipoles();
    // R² beyond which others are distant from an atom and take part in its row; [atom in order].
    void fill_reach(std::size_t structure, std::size_t i, std::vector<double>& squared_reach) const;
    void add_gradient(const double* multipoles, const double* potentials, int l_max, double gradient[3]) const;

    const Structures& structures_;
    GroupField groups_;
    const double* coefficients_;
    std::vector<std::size_t> first_;
    std::vector<std::size_t> order_;  // atoms by l_max, neighbours next to each other
    std::vector<std::size_t> place_;  // of each atom in that order
    std::size_t n_rows_, stride_;
    std::vector<int> l_max_;
    std::vector<double> positions_;  // [structure][axis][atom in order]
    // Complex, [structure][term of an expansion][real, imaginary][atom in order]; potentials up to one
    // degree more, of which gradients are made.
    std::vector<double> multipoles_, potentials_;
    std::vector<double> reach_;  // [species][atom in order]
};

}  // namespace densnet

// The part of the fused forms of the Coulomb metric that comes from distant atoms: multipoles in the
// potentials of multipoles.
#pragma once

#include <cstddef>
#include <vector>

#include "densnet/kernel.hpp"
#include "densnet/vector_kernels.hpp"

namespace densnet {

class DistantField {
public:
    // first[atom] is the first function of an atom.
    DistantField(const Structures& structures, const double* coefficients,
                 const std::vector<std::size_t>& first);

    void compute(int n_threads, bool gradients);

    // Add the potentials of one structure to M c, and what follows from them to the gradients of cᵀM c:
    // by_position (n_atoms, 3), unless null, and the energy of every primitive of the basis.
    void add(std::size_t structure, double* applied, double* by_position, double* energy) const;

private:
    // One thread's results, [structure][multipole or axis][atom in order].
    struct Totals {
        std::vector<double> potentials, gradients;
    };

    std::size_t multipole_size() const { return n_multipoles_ * stride_; }

    const Structures& structures_;
    const double* coefficients_;
    std::vector<std::size_t> first_;
    std::vector<std::size_t> order_;  // atoms by l_max
    std::size_t n_multipoles_, stride_;
    std::vector<int> l_max_;
    std::vector<double> positions_;   // [structure][axis][atom in order]
    std::vector<double> multipoles_;  // [structure][multipole][atom in order]
    std::vector<double> reach_;       // [species][atom in order]
    Totals totals_;
};

}  // namespace densnet

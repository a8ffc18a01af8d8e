// A basis as the vector kernels of forms and points see it: plain pointers into its groups.
#pragma once

#include <vector>

#include "densnet/basis.hpp"
#include "densnet/vector_kernels.hpp"

namespace densnet {

struct FormSpeciesView {
    std::vector<FormGroup> groups;
    int n_functions = 0;
    int n_multipoles = 0;
    int n_primitives = 0;
};

std::vector<FormSpeciesView> make_species_views(const Basis& basis);
// [g_a n_groups_b + g_b]
std::vector<FormRadial> make_pair_view(const SpeciesPair& pair);

// q: multipoles Σ_shells moment c of every group, 2 l + 1 values a group.
void collect_moments(const Species& species, const double* c, double* q);

// Derivatives with respect to every exponent from the energy that its primitive takes part in and the
// derivative through p; the shells stay normalised.
void finish_exponents(const Basis& basis, const double* energy, const double* slope,
                      double* by_exponent);

}  // namespace densnet

// A density basis: for every species a list of groups of shells of the same l.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "densnet/couplings.hpp"

namespace densnet {

enum class Metric { overlap = 0, coulomb = 1 };

// Consecutive shells of one species with the same l and ascending smallest exponents.
struct Group {
    int l = 0;
    int n_shells = 0;
    int n_primitives = 0;
    int first_function = 0;   // of its first shell, within the atom
    int first_primitive = 0;  // of its first shell, within the basis
    bool contracted = false;
    std::vector<int> shell;         // of each primitive, within the group
    std::vector<double> exponents;  // a
    std::vector<double> weights;    // w in φ = Σ w r^l exp(-a r²) Y_lm
    std::vector<double> reduced;    // u = w (π/a)^{3/2} (2a)^{-l}
    std::vector<double> potential;  // 2 √(a/π) (2a)^l u
    // Of each shell: its smallest exponent, and the sum of u over its primitives; the latter, times
    // r^{-l-1} Y_lm (2l - 1)!!, is its far potential.
    std::vector<double> smallest;
    std::vector<double> moment;

    int n_functions() const { return n_shells * (2 * l + 1); }
};

// Radial factors of all primitive pairs of two groups, flat as [i_a n_b + i_b] and padded with zeros
// in c and w to a multiple of 8.
struct RadialPairs {
    const Coupling* coupling = nullptr;
    int n_padded = 0;
    std::vector<double> p;  // ab/(a+b)
    // overlap: c = u_a u_b (-1)^{l_b} (p/π)^{3/2} (-2p)^{l_low} (-4p)^n;  Coulomb: q = c π/p
    std::vector<double> c;
    std::vector<double> w;         // u_a u_b (-1)^{l_a} (2 l_high - 1)!!, for distant pairs
    std::vector<double> shell_p;   // smallest p of each pair of shells, [s_a n_shells_b + s_b]
    double smallest_p = 0.0;
};

struct Species {
    std::vector<Group> groups;
    std::vector<int> group_l, group_shells;  // degree and number of shells of each group
    // Of each function: its place l² + … among the multipoles of all l, the moment of its shell, and
    // (-1)^l times that.
    std::vector<int> multipole;
    std::vector<double> moment, signed_moment;
    int n_functions = 0;
    int n_shells = 0;
    int l_max = 0;
};

// Pairs of the groups of two species, [g_a n_groups_b + g_b].
struct SpeciesPair {
    std::vector<RadialPairs> groups;
    double squared_reach = 0.0;  // R² beyond every overlap_limit, or every coulomb_limit
};

// On one atom, functions of equal l and m of two primitives have the integral c (or q) times this.
double on_site_factor(Metric metric, const Coupling& coupling);

SpeciesPair make_species_pair(Metric metric, const Species& a, const Species& b);

class Basis {
public:
    // Arrays as in densnet/integrals/shell_table.py; the lengths are n_species + 1, n_shells,
    // n_shells + 1, and n_primitives twice. Throws std::invalid_argument naming the wrong argument.
    Basis(const std::vector<std::int64_t>& shell_offset, const std::vector<std::int64_t>& l,
          const std::vector<std::int64_t>& primitive_offset, const std::vector<double>& exponents,
          const std::vector<double>& weights);

    const std::vector<Species>& species() const { return species_; }
    std::size_t n_primitives() const { return n_primitives_; }
    int l_max() const { return l_max_; }
    const SpeciesPair& pair(Metric metric, int a, int b) const {
        return pairs_[static_cast<int>(metric)][a * species_.size() + b];
    }
    // The block of one atom with itself, (n_functions, n_functions).
    const std::vector<double>& on_site(Metric metric, int a) const {
        return on_site_[static_cast<int>(metric)][a];
    }

private:
    std::vector<Species> species_;
    std::size_t n_primitives_ = 0;
    int l_max_ = 0;
    std::vector<SpeciesPair> pairs_[2];
    std::vector<std::vector<double>> on_site_[2];
};

}  // namespace densnet

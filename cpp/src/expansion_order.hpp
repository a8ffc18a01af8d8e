// How many terms the expansions of two groups need, from a bound on the error of all others.
#pragma once

#include <array>

#include "densnet/basis.hpp"

namespace densnet {

class ExpansionOrder {
public:
    explicit ExpansionOrder(const Basis& basis);

    // The lowest order for groups whose centres lie `distance` apart and whose radii add up to `extent`,
    // such that no element of the Coulomb metric is wrong by more than kCoulombError √(M_ii M_jj); one
    // more than kMaxExpansion if none is enough. Looks for it from a guess onwards.
    int find(double distance, double extent, int guess) const;

private:
    bool enough(int order, double distance, double extent) const;

    int l_max_;
    // Of two shells whose degrees add up to L, moments included: the bound is largest_[L] / R^{L+1}
    // Σ_n C(L+n, n) (extent/R)^n, n beyond the order less L.
    std::array<double, kMaxOrder + 1> largest_{};
};

}  // namespace densnet

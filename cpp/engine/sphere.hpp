// Real spherical harmonics with the norm 4π, and rules on the sphere in the forms the kernels want.
#pragma once

#include <vector>

#include "densnet/engine.hpp"
#include "memory.hpp"

namespace densnet {
namespace engine {

// N_lm of a harmonic with the norm 4π, m ≥ 0, (kMaxL + 1, kMaxL + 1).
const double* harmonic_norms();

// Y_lm(u), m = −l … l, of a unit vector.
void harmonics(int l_max, const double* unit, double* values);

// The first rule that is exact up to a degree.
const SphereRule& rule_for(const std::vector<SphereRule>& rules, int degree);

template <typename T>
struct Orbits {
    std::vector<int> masks;
    Aligned<T> harmonics, weighted;

    explicit Orbits(const SphereRule& rule);
    OrbitView<T> view() const;
};

template <typename T>
struct Pairs {
    int n_pairs = 0, n_padded = 0;
    Aligned<T> x, harmonics, weighted;

    explicit Pairs(const SphereRule& rule);
    PairView<T> view() const;
};

}  // namespace engine
}  // namespace densnet

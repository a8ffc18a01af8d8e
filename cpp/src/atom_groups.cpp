#include "atom_groups.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace densnet {
namespace {

// Smaller groups are more, larger ones need longer expansions.
constexpr std::size_t kGroupAtoms = 14;

using Vector = std::array<double, 3>;

// Of the box around some atoms.
Vector middle(const double* positions, const std::size_t* atoms, std::size_t n) {
    Vector result{};
    for (int axis = 0; axis < 3; ++axis) {
        double low = std::numeric_limits<double>::infinity(), high = -low;
        for (std::size_t i = 0; i < n; ++i) {
            low = std::min(low, positions[3 * atoms[i] + axis]);
            high = std::max(high, positions[3 * atoms[i] + axis]);
        }
        result[axis] = 0.5 * (low + high);
    }
    return result;
}

double squared_distance(const double* position, const Vector& from) {
    double total = 0.0;
    for (int axis = 0; axis < 3; ++axis) {
        total += (position[axis] - from[axis]) * (position[axis] - from[axis]);
    }
    return total;
}

// Halves across the direction of the atom that is farthest from the middle, so that the same groups are
// found however a molecule is turned.
void divide(const double* positions, std::size_t* atoms, std::size_t n, std::size_t n_groups,
            std::vector<AtomGroup>& groups) {
    const Vector centre = middle(positions, atoms, n);
    const std::size_t* farthest = std::max_element(atoms, atoms + n, [&](std::size_t a, std::size_t b) {
        return squared_distance(positions + 3 * a, centre) < squared_distance(positions + 3 * b, centre);
    });
    const double* end = positions + 3 * *farthest;
    if (n_groups == 1) {
        groups.push_back({{atoms, atoms + n},
                          {centre[0], centre[1], centre[2]},
                          std::sqrt(squared_distance(end, centre))});
        return;
    }
    const Vector direction{end[0] - centre[0], end[1] - centre[1], end[2] - centre[2]};
    std::vector<std::pair<double, std::size_t>> along;
    for (std::size_t i = 0; i < n; ++i) {
        const double* r = positions + 3 * atoms[i];
        along.emplace_back(r[0] * direction[0] + r[1] * direction[1] + r[2] * direction[2], atoms[i]);
    }
    const std::size_t left = n_groups / 2, n_left = n * left / n_groups;
    std::nth_element(along.begin(), along.begin() + static_cast<std::ptrdiff_t>(n_left), along.end());
    for (std::size_t i = 0; i < n; ++i) atoms[i] = along[i].second;
    divide(positions, atoms, n_left, left, groups);
    divide(positions, atoms + n_left, n - n_left, n_groups - left, groups);
}

}  // namespace

AtomGroups::AtomGroups(const Structures& structures)
    : per_structure_(std::max<std::size_t>(1, structures.n_atoms / kGroupAtoms)) {
    const std::size_t n_atoms = structures.n_atoms;
    std::vector<std::size_t> atoms(n_atoms);
    for (std::size_t s = 0; s < structures.n_batch; ++s) {
        std::iota(atoms.begin(), atoms.end(), std::size_t{0});
        divide(structures.positions + 3 * n_atoms * s, atoms.data(), n_atoms, per_structure_, groups_);
    }
}

}  // namespace densnet

// Groups of neighbouring atoms: what is far from all atoms of a group need not be looked at one by one.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "densnet/kernel.hpp"

namespace densnet {

struct AtomGroup {
    std::vector<std::size_t> atoms;
    double centre[3];
    double radius;  // of the sphere around the centre that holds all atoms
};

inline double distance(const AtomGroup& a, const AtomGroup& b) {
    return std::hypot(a.centre[0] - b.centre[0], a.centre[1] - b.centre[1], a.centre[2] - b.centre[2]);
}

// The groups of every structure, the same number in each.
class AtomGroups {
public:
    explicit AtomGroups(const Structures& structures);

    std::size_t per_structure() const { return per_structure_; }
    const AtomGroup& at(std::size_t structure, std::size_t group) const {
        return groups_[structure * per_structure_ + group];
    }
    const std::vector<AtomGroup>& all() const { return groups_; }

private:
    std::size_t per_structure_;
    std::vector<AtomGroup> groups_;  // [structure][group]
};

}  // namespace densnet

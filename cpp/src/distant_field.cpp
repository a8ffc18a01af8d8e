#include "distant_field.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "densnet/parallel.hpp"

namespace densnet {
namespace {

constexpr double kPi = 3.14159265358979323846;

// From a real multipole (l, ±m), m ≥ 0, to the complex one: (2l-1)!! √((2l+1)/4π / ((l-m)! (l+m)!)), and
// 1/√2 for m > 0.
struct Norms {
    double value[expansion_place(kMaxL + 1, 0)];

    Norms() {
        for (int l = 0; l <= kMaxL; ++l) {
            for (int m = 0; m <= l; ++m) {
                const double factorials = std::tgamma(l - m + 1.0) * std::tgamma(l + m + 1.0);
                value[expansion_place(l, m)] =
                    double_factorial(l) * std::sqrt((2 * l + 1) / (4.0 * kPi) / factorials * (m > 0 ? 0.5 : 1.0));
            }
        }
    }
};

double norm(int l, int m) {
    static const Norms table;
    return table.value[expansion_place(l, m)];
}

// Place of (l, m) among the real multipoles: p is x, y, z.
int multipole_place(int l, int m) { return l == 1 ? (m == 0 ? 3 : m > 0 ? 1 : 2) : l * l + l + m; }

}  // namespace

DistantField::DistantField(const Structures& structures, const AtomGroups& groups,
                           const double* coefficients, const std::vector<std::size_t>& first)
    : structures_(structures), groups_(structures, groups), coefficients_(coefficients), first_(first) {
    const Basis& basis = *structures.basis;
    const std::size_t n_atoms = structures.n_atoms;
    for (std::size_t a = 0; a < n_atoms; ++a) order_.push_back(a);
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
        if (species(a).l_max != species(b).l_max) return species(a).l_max < species(b).l_max;
        return groups_.group_of(0, a) < groups_.group_of(0, b);
    });
    place_.resize(n_atoms);
    for (std::size_t i = 0; i < n_atoms; ++i) place_[order_[i]] = i;
    stride_ = (n_atoms + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
    n_rows_ = 2 * static_cast<std::size_t>(expansion_place(basis.l_max() + 2, 0));
    for (const std::size_t a : order_) l_max_.push_back(species(a).l_max);
    const auto n_species = static_cast<int>(basis.species().size());
    reach_.assign(n_species * stride_, std::numeric_limits<double>::infinity());
    for (int s = 0; s < n_species; ++s) {
        for (std::size_t i = 0; i < n_atoms; ++i) {
            const auto other = static_cast<int>(structures.species[order_[i]]);
            reach_[s * stride_ + i] = basis.pair(Metric::coulomb, s, other).squared_reach;
        }
    }
    fill_positions();
    fill_multipoles();
}

void DistantField::fill_positions() {
    positions_.assign(structures_.n_batch * 3 * stride_, 0.0);
    for (std::size_t s = 0; s < structures_.n_batch; ++s) {
        const double* positions = structures_.positions + 3 * structures_.n_atoms * s;
        for (int axis = 0; axis < 3; ++axis) {
            double* row = positions_.data() + (3 * s + axis) * stride_;
            for (std::size_t i = 0; i < order_.size(); ++i) row[i] = positions[3 * order_[i] + axis];
        }
    }
}

void DistantField::fill_multipoles() {
    multipoles_.assign(structures_.n_batch * table_size(), 0.0);
    std::vector<double> real;
    for (std::size_t s = 0; s < structures_.n_batch; ++s) {
        for (std::size_t i = 0; i < order_.size(); ++i) {
            const Species& of = species(order_[i]);
            const double* c = coefficients_ + s * first_.back() + first_[order_[i]];
            real.assign((of.l_max + 1) * (of.l_max + 1), 0.0);
            for (int f = 0; f < of.n_functions; ++f) real[of.multipole[f]] += of.moment[f] * c[f];
            double* complex = multipoles_.data() + s * table_size() + i;
            for (int l = 0; l <= of.l_max; ++l) {
                for (int m = 0; m <= l; ++m, complex += 2 * stride_) {
                    complex[0] = norm(l, m) * real[multipole_place(l, m)];
                    if (m > 0) complex[stride_] = norm(l, m) * real[multipole_place(l, -m)];
                }
            }
        }
    }
}

void DistantField::fill_reach(std::size_t structure, std::size_t i, std::vector<double>& squared_reach) const {
    const std::size_t atom = order_[i];
    const double* reach = reach_.data() + structures_.species[atom] * stride_;
    squared_reach.assign(reach, reach + stride_);
    for (const std::size_t group : groups_.partners(groups_.group_of(structure, atom))) {
        for (const std::size_t other : groups_.group(group).atoms) {
            squared_reach[place_[other]] = std::numeric_limits<double>::infinity();
        }
    }
}

void DistantField::compute(int n_threads, bool gradients) {
    const VectorKernels& kernels = vector_kernels();
    const std::size_t n_atoms = structures_.n_atoms;
    // 50 ns and more for a pair of atoms
    const int n_rows_at_once = worthwhile_threads(
        n_threads, 25.0 * static_cast<double>(structures_.n_batch * n_atoms) * static_cast<double>(n_atoms));
    std::vector<std::vector<double>> potentials(n_rows_at_once), reach(n_rows_at_once);
    for (auto& part : potentials) part.assign(structures_.n_batch * table_size(), 0.0);
    parallel_for(structures_.n_batch * n_atoms, n_rows_at_once, [&](std::size_t item, int thread) {
        const std::size_t s = item / n_atoms, a = item % n_atoms;
        const double* positions = positions_.data() + 3 * s * stride_;
        fill_reach(s, a, reach[thread]);
        kernels.distant_row({static_cast<int>(a),
                             l_max_.data(),
                             {positions, positions + stride_, positions + 2 * stride_},
                             reach[thread].data(),
                             multipoles_.data() + s * table_size(),
                             static_cast<std::ptrdiff_t>(stride_),
                             potentials[thread].data() + s * table_size(),
                             gradients});
    });
    potentials_ = std::move(potentials[0]);
    for (std::size_t t = 1; t < potentials.size(); ++t) {
        for (std::size_t i = 0; i < potentials_.size(); ++i) potentials_[i] += potentials[t][i];
    }
    if (groups_.empty()) return;
    groups_.add({place_.data(), stride_, table_size(), multipoles_.data(), potentials_.data()}, gradients,
                n_threads);
}

// 2 Σ q*_lm ∇v_lm: a derivative of a potential's term is made of those one degree higher.
void DistantField::add_gradient(const double* multipoles, const double* potentials, int l_max,
                                double gradient[3]) const {
    const auto re = [&](const double* terms, int l, int m) {
        return terms[2 * expansion_place(l, m) * stride_];
    };
    const auto im = [&](const double* terms, int l, int m) {
        return terms[(2 * expansion_place(l, m) + 1) * stride_];
    };
    double total[3] = {};
    for (int l = 0; l <= l_max; ++l) {
        const double charge = re(multipoles, l, 0);
        total[0] += charge * re(potentials, l + 1, 1);
        total[1] += charge * im(potentials, l + 1, 1);
        total[2] += charge * re(potentials, l + 1, 0);
        for (int m = 1; m <= l; ++m) {
            const double x = re(multipoles, l, m), y = im(multipoles, l, m);
            const double above = re(potentials, l + 1, m + 1), above_im = im(potentials, l + 1, m + 1);
            const double below = re(potentials, l + 1, m - 1), below_im = im(potentials, l + 1, m - 1);
            total[0] += x * (above - below) + y * (above_im - below_im);
            total[1] += x * (above_im + below_im) - y * (above + below);
            total[2] += 2.0 * (x * re(potentials, l + 1, m) + y * im(potentials, l + 1, m));
        }
    }
    for (int axis = 0; axis < 3; ++axis) gradient[axis] += 2.0 * total[axis];
}

void DistantField::add(std::size_t structure, double* applied, double* by_position,
                       double* energy) const {
    std::vector<double> real;
    for (std::size_t i = 0; i < order_.size(); ++i) {
        const std::size_t atom = order_[i];
        const Species& of = species(atom);
        const double* potentials = potentials_.data() + structure * table_size() + i;
        const double* c = coefficients_ + structure * first_.back() + first_[atom];
        real.assign((of.l_max + 1) * (of.l_max + 1), 0.0);
        const double* complex = potentials;
        for (int l = 0; l <= of.l_max; ++l) {
            for (int m = 0; m <= l; ++m, complex += 2 * stride_) {
                real[multipole_place(l, m)] = (m > 0 ? 2.0 : 1.0) * norm(l, m) * complex[0];
                if (m > 0) real[multipole_place(l, -m)] = 2.0 * norm(l, m) * complex[stride_];
            }
        }
        double* y = applied + first_[atom];
        for (int f = 0; f < of.n_functions; ++f) y[f] += of.moment[f] * real[of.multipole[f]];
        if (by_position == nullptr) continue;
        add_gradient(multipoles_.data() + structure * table_size() + i, potentials, of.l_max,
                     by_position + 3 * atom);
        for (const Group& group : of.groups) {
            const int n = 2 * group.l + 1;
            for (int k = 0; k < group.n_primitives; ++k) {
                const int shell = group.first_function + group.shell[k] * n;
                double product = 0.0;
                for (int m = 0; m < n; ++m) product += c[shell + m] * real[of.multipole[shell + m]];
                energy[group.first_primitive + k] += 2.0 * group.reduced[k] * product;
            }
        }
    }
}

}  // namespace densnet

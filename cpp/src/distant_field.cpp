#include "distant_field.hpp"

#include <algorithm>
#include <limits>

#include "densnet/parallel.hpp"

namespace densnet {

DistantField::DistantField(const Structures& structures, const double* coefficients,
                           const std::vector<std::size_t>& first)
    : structures_(structures), coefficients_(coefficients), first_(first) {
    const Basis& basis = *structures.basis;
    const std::size_t n_atoms = structures.n_atoms;
    const auto species = [&](std::size_t atom) { return static_cast<int>(structures.species[atom]); };
    for (std::size_t a = 0; a < n_atoms; ++a) order_.push_back(a);
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
        return basis.species()[species(a)].l_max < basis.species()[species(b)].l_max;
    });
    stride_ = (n_atoms + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
    n_multipoles_ = static_cast<std::size_t>((basis.l_max() + 1) * (basis.l_max() + 1));
    for (const std::size_t a : order_) l_max_.push_back(basis.species()[species(a)].l_max);
    const auto n_species = static_cast<int>(basis.species().size());
    reach_.assign(n_species * stride_, std::numeric_limits<double>::infinity());
    for (int s = 0; s < n_species; ++s) {
        for (std::size_t i = 0; i < n_atoms; ++i) {
            reach_[s * stride_ + i] = basis.pair(Metric::coulomb, s, species(order_[i])).squared_reach;
        }
    }
    positions_.assign(structures.n_batch * 3 * stride_, 0.0);
    multipoles_.assign(structures.n_batch * multipole_size(), 0.0);
    for (std::size_t s = 0; s < structures.n_batch; ++s) {
        double* multipoles = multipoles_.data() + s * multipole_size();
        for (std::size_t i = 0; i < n_atoms; ++i) {
            const std::size_t atom = order_[i];
            for (int axis = 0; axis < 3; ++axis) {
                positions_[(3 * s + axis) * stride_ + i] =
                    structures.positions[3 * (n_atoms * s + atom) + axis];
            }
            const Species& of = basis.species()[species(atom)];
            const double* c = coefficients + s * first.back() + first[atom];
            for (int f = 0; f < of.n_functions; ++f) {
                multipoles[of.multipole[f] * stride_ + i] += of.moment[f] * c[f];
            }
        }
    }
}

void DistantField::compute(int n_threads, bool gradients) {
    const VectorKernels& kernels = vector_kernels();
    const std::size_t n_atoms = structures_.n_atoms;
    // 50 ns and more for a pair of atoms
    n_threads = worthwhile_threads(
        n_threads, 25.0 * static_cast<double>(structures_.n_batch * n_atoms) * static_cast<double>(n_atoms));
    std::vector<Totals> totals(n_threads);
    totals[0].potentials.assign(structures_.n_batch * multipole_size(), 0.0);
    totals[0].gradients.assign(gradients ? structures_.n_batch * 3 * stride_ : 0, 0.0);
    for (int t = 1; t < n_threads; ++t) totals[t] = totals[0];
    parallel_for(structures_.n_batch * n_atoms, n_threads, [&](std::size_t item, int thread) {
        const std::size_t s = item / n_atoms, a = item % n_atoms;
        const double* positions = positions_.data() + 3 * s * stride_;
        Totals& mine = totals[thread];
        kernels.distant_row({static_cast<int>(a),
                             l_max_.data(),
                             {positions, positions + stride_, positions + 2 * stride_},
                             reach_.data() + structures_.species[order_[a]] * stride_,
                             multipoles_.data() + s * multipole_size(),
                             static_cast<std::ptrdiff_t>(stride_),
                             mine.potentials.data() + s * multipole_size(),
                             gradients ? mine.gradients.data() + 3 * s * stride_ : nullptr});
    });
    totals_ = std::move(totals[0]);
    for (int t = 1; t < n_threads; ++t) {
        for (std::size_t i = 0; i < totals_.potentials.size(); ++i) {
            totals_.potentials[i] += totals[t].potentials[i];
        }
        for (std::size_t i = 0; i < totals_.gradients.size(); ++i) {
            totals_.gradients[i] += totals[t].gradients[i];
        }
    }
}

void DistantField::add(std::size_t structure, double* applied, double* by_position,
                       double* energy) const {
    const Basis& basis = *structures_.basis;
    for (std::size_t i = 0; i < order_.size(); ++i) {
        const std::size_t atom = order_[i];
        const Species& of = basis.species()[structures_.species[atom]];
        const double* potentials = totals_.potentials.data() + structure * multipole_size() + i;
        const double* c = coefficients_ + structure * first_.back() + first_[atom];
        double* y = applied + first_[atom];
        for (int f = 0; f < of.n_functions; ++f) {
            y[f] += of.moment[f] * potentials[of.multipole[f] * stride_];
        }
        if (by_position == nullptr) continue;
        for (int axis = 0; axis < 3; ++axis) {
            by_position[3 * atom + axis] += totals_.gradients[(3 * structure + axis) * stride_ + i];
        }
        for (const Group& group : of.groups) {
            const int n = 2 * group.l + 1;
            for (int k = 0; k < group.n_primitives; ++k) {
                const int shell = group.first_function + group.shell[k] * n;
                double product = 0.0;
                for (int m = 0; m < n; ++m) {
                    product += c[shell + m] * potentials[of.multipole[shell + m] * stride_];
                }
                energy[group.first_primitive + k] += 2.0 * group.reduced[k] * product;
            }
        }
    }
}

}  // namespace densnet

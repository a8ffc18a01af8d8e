// What an evaluation returns besides forces.
#include "network.hpp"

namespace densnet {
namespace engine {

template <typename T>
void Network<T>::write_energies(const Results& results) {
    for (std::size_t k = 0; k < block_.n_structures; ++k) results.energy[block_.first_structure + k] = 0.0;
    for (int a = 0; a < n_; ++a) {
        results.energy[block_.structure[a]] +=
            w_.reference_energies[block_.species[a]] + w_.energy_scale * learned_[a];
    }
}

// Charges, coefficients and dipole in double: components with exact charges, then unwhitened.
template <typename T>
void Network<T>::write_density(const Batch& batch, std::size_t n_functions, const Results& results) {
    const Configuration& c = w_.sizes;
    const int n_m = n_harmonics(c.l_density), wide = padded<double>(c.n_shells);
    const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(n_) * wide;
    double* z = arena_.template take_zeros<double>(n_m * stride);
    double* coefficients = arena_.take<double>(n_m * stride);
    for (int h = 0; h < n_m; ++h) {
        for (int a = 0; a < n_; ++a) {
            const T* from = components_.at(h) + static_cast<std::ptrdiff_t>(a) * components_.width;
            for (int i = 0; i < c.n_shells; ++i) z[h * stride + a * wide + i] = from[i];
        }
    }
    for (int a = 0; a < n_; ++a) {
        const std::size_t row = static_cast<std::size_t>(block_.species[a]) * c.n_shells;
        double missing = charges_[a] - w_.charge_offset[block_.species[a]];
        for (int i = 0; i < c.n_shells; ++i) missing -= z[a * wide + i] * w_.charge_of[row + i];
        for (int i = 0; i < c.n_shells; ++i) z[a * wide + i] += missing * w_.unit_charge[row + i];
        results.charges[block_.atom[a]] = charges_[a];
    }
    for (int l = 0; l <= c.l_density; ++l) {
        const Source<double> source = {z + l * l * stride, stride, wide, c.n_shells};
        for (int s = 0; s < c.n_species; ++s) {
            linear(exact_, kObservables, 2 * l + 1, block_.first_of[s], block_.first_of[s + 1] - block_.first_of[s],
                   &source, 1, w_.to_coefficients[s].forward_of(l), wide, wide, coefficients + l * l * stride,
                   stride, wide, false);
        }
    }
    double* dipole = results.dipole + 3 * block_.first_structure;
    std::fill(dipole, dipole + 3 * block_.n_structures, 0.0);
    // Where the coefficients of each atom of a structure begin.
    std::vector<std::size_t> begin(batch.n_atoms);
    std::size_t total = 0;
    for (std::size_t a = 0; a < batch.n_atoms; ++a) {
        begin[a] = total;
        total += c.order[batch.species[a]].size();
    }
    costs_.count(kObservables, 8.0 * n_ * c.n_shells, [&] {
        for (int a = 0; a < n_; ++a) {
            const int s = block_.species[a];
            double* row = coefficients + static_cast<std::ptrdiff_t>(a) * wide;
            double local[3] = {0.0, 0.0, 0.0};
            for (int i = 0; i < c.n_shells; ++i) {
                row[i] += w_.offset[static_cast<std::size_t>(s) * c.n_shells + i];
                const double moment = w_.first_moment[static_cast<std::size_t>(s) * c.n_shells + i];
                // m = −1, 0, 1 are y, z, x
                local[1] += row[stride + i] * moment;
                local[2] += row[2 * stride + i] * moment;
                local[0] += row[3 * stride + i] * moment;
            }
            const double* position = batch.positions + 3 * block_.atom[a];
            for (int axis = 0; axis < 3; ++axis) {
                results.dipole[3 * block_.structure[a] + axis] -= charges_[a] * position[axis] + local[axis];
            }
            double* out = results.coefficients + static_cast<std::size_t>(block_.structure[a]) * n_functions +
                          begin[block_.atom[a] % batch.n_atoms];
            for (const std::int64_t at : c.order[s]) {
                *out++ = row[at / c.n_shells * stride + at % c.n_shells];
            }
        }
    });
}

template void Network<float>::write_energies(const Results&);
template void Network<float>::write_density(const Batch&, std::size_t, const Results&);
template void Network<double>::write_energies(const Results&);
template void Network<double>::write_density(const Batch&, std::size_t, const Results&);

}  // namespace engine
}  // namespace densnet

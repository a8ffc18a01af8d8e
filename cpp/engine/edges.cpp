// Edges: their functions, and from the gradients of these the forces.
#include "network.hpp"

#include <cmath>

namespace densnet {
namespace engine {

namespace {

constexpr double kPi = 3.14159265358979323846;
// densnet.nn.radial.BOND_FRACTION
constexpr double kBondFraction = 0.25;

}  // namespace

template <typename T>
EdgeView<T> Network<T>::edge_view(const T* radial, T* radial_gradient) const {
    return {n_,          block_.first_edge.data(), block_.sender.data(),  unit_,
            harmonics_,  harmonics_width_,         radial,                w_.n_contracted,
            unit_gradient_, harmonics_gradient_,   radial_gradient};
}

template <typename T>
void Network<T>::contract(const Aligned<T>& matrices, int n_in, int n_out, const T* x, T* out,
                          bool accumulate) {
    costs_.count(kRadial, 2.0 * n_edges_ * n_in * n_out, [&] {
        kernels_.slots({n_edges_, n_in, n_out, block_.pair.data(), x, n_in, matrices.data(), out, accumulate});
    });
}

template <typename T>
HarmonicsJob<T> Network<T>::harmonics_job(int l_max) const {
    return {n_edges_,        n_padded_, l_max,   harmonic_norms(), directions_,
            harmonics_width_, nullptr,  nullptr, nullptr};
}

// b_n(x) = s sin(nπx)/x (1 − x²)³, x = r/r_c, and db_n/dr; directions and harmonics.
template <typename T>
void Network<T>::make_edges() {
    const int n_radial = w_.sizes.n_radial, n_y = n_harmonics(w_.sizes.l_density);
    harmonics_width_ = padded<T>(n_y);
    const std::size_t n = static_cast<std::size_t>(n_edges_);
    n_padded_ = (n_edges_ + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
    directions_ = arena_.take<double>(3 * static_cast<std::size_t>(n_padded_));
    std::fill(directions_, directions_ + 3 * static_cast<std::size_t>(n_padded_), std::sqrt(1.0 / 3.0));
    distance_ = arena_.take<double>(n);
    slopes_ = arena_.take<double>(n * n_radial);
    unit_ = arena_.take<T>(3 * n);
    unit_gradient_ = arena_.template take_zeros<T>(3 * n);
    harmonics_ = arena_.take<T>(n * harmonics_width_);
    harmonics_gradient_ = arena_.take<T>(n * harmonics_width_);
    functions_ = arena_.template take_zeros<T>(n * w_.n_radial);
    functions_gradient_ = arena_.template take_zeros<T>(n * w_.n_radial);
    costs_.count(kEdges, n * (10.0 * n_radial + 8.0 * n_y), [&] {
        const double scale = kBondFraction * std::sqrt(2.0 / n_radial);
        for (std::size_t e = 0; e < n; ++e) {
            const double* r = &block_.vectors[3 * e];
            const double distance = std::sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
            distance_[e] = distance;
            for (int axis = 0; axis < 3; ++axis) {
                directions_[axis * n_padded_ + e] = r[axis] / distance;
                unit_[3 * e + axis] = static_cast<T>(r[axis] / distance);
            }
            const double x = distance / w_.sizes.cutoff, inside = 1.0 - x * x;
            const double envelope = scale * inside * inside * inside / x;
            const double slope = scale * (-6.0 * inside * inside - inside * inside * inside / (x * x));
            const double sine = std::sin(kPi * x), cosine = std::cos(kPi * x);
            double s = sine, c = cosine;
            for (int k = 0; k < n_radial; ++k) {
                functions_[e * w_.n_radial + k] = static_cast<T>(s * envelope);
                slopes_[e * n_radial + k] =
                    (kPi * (k + 1) * c * envelope + s * slope) / w_.sizes.cutoff;
                const double next = s * cosine + c * sine;
                c = c * cosine - s * sine;
                s = next;
            }
        }
        HarmonicsJob<T> job = harmonics_job(w_.sizes.l_density);
        job.values = harmonics_;
        kernels_.harmonics_forward(job);
    });
    radial_map_ = arena_.take<T>(n * w_.n_contracted);
    radial_map_gradient_ = arena_.template take_zeros<T>(n * w_.n_contracted);
    contract(w_.contraction_map, w_.n_radial, w_.n_contracted, functions_, radial_map_, false);
    if (w_.uses_neighbours()) {
        radial_functional_ = arena_.take<T>(n * w_.n_contracted);
        radial_functional_gradient_ = arena_.template take_zeros<T>(n * w_.n_contracted);
        contract(w_.contraction_functional, w_.n_radial, w_.n_contracted, functions_, radial_functional_, false);
    }
}

// With r_ij = r_j − r_i the force on i is dE/dr_ij, that on j its opposite; the virial −Σ r_ij ⊗ dE/dr_ij.
template <typename T>
void Network<T>::write_forces(const Batch& batch, const Results& results) {
    const std::size_t first = block_.first_structure * batch.n_atoms;
    std::fill(results.forces + 3 * first, results.forces + 3 * (first + n_), 0.0);
    std::fill(results.virial + 9 * block_.first_structure,
              results.virial + 9 * (block_.first_structure + block_.n_structures), 0.0);
    const int n_radial = w_.sizes.n_radial;
    double* by_harmonics = arena_.take_zeros<double>(3 * static_cast<std::size_t>(n_padded_));
    costs_.count(kEdges, n_edges_ * (2.0 * n_radial + 12.0 * n_harmonics(l_highest_) + 60.0), [&] {
        if (w_.uses_density()) {
            HarmonicsJob<T> job = harmonics_job(l_highest_);
            job.gradient = harmonics_gradient_;
            job.unit_gradient = by_harmonics;
            kernels_.harmonics_backward(job);
        }
        for (int i = 0; i < n_; ++i) {
            double* force_i = results.forces + 3 * block_.atom[i];
            double* virial = results.virial + 9 * block_.structure[i];
            for (int edge = block_.first_edge[i]; edge < block_.first_edge[i + 1]; ++edge) {
                const std::size_t e = static_cast<std::size_t>(edge);
                const double* r = &block_.vectors[3 * e];
                const double distance = distance_[e];
                double along = 0.0;
                for (int k = 0; k < n_radial; ++k) {
                    along += static_cast<double>(functions_gradient_[e * w_.n_radial + k]) * slopes_[e * n_radial + k];
                }
                double u[3], across[3];
                for (int axis = 0; axis < 3; ++axis) {
                    u[axis] = directions_[axis * n_padded_ + e];
                    across[axis] = unit_gradient_[3 * e + axis] + by_harmonics[axis * n_padded_ + e];
                }
                const double radial = across[0] * u[0] + across[1] * u[1] + across[2] * u[2];
                double* force_j = results.forces + 3 * block_.atom[block_.sender[e]];
                for (int axis = 0; axis < 3; ++axis) {
                    const double g =
                        w_.energy_scale * ((across[axis] - radial * u[axis]) / distance + along * u[axis]);
                    force_i[axis] += g;
                    force_j[axis] -= g;
                    for (int other = 0; other < 3; ++other) virial[3 * other + axis] -= r[other] * g;
                }
            }
        }
    });
}

template EdgeView<float> Network<float>::edge_view(const float*, float*) const;
template void Network<float>::contract(const Aligned<float>&, int, int, const float*, float*, bool);
template void Network<float>::make_edges();
template void Network<float>::write_forces(const Batch&, const Results&);
template EdgeView<double> Network<double>::edge_view(const double*, double*) const;
template void Network<double>::contract(const Aligned<double>&, int, int, const double*, double*, bool);
template void Network<double>::make_edges();
template void Network<double>::write_forces(const Batch&, const Results&);

}  // namespace engine
}  // namespace densnet

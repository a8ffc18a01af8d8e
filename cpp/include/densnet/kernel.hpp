// The integrals of DenSNet: see cpp/README.md for formulas, layout and error bounds.
//
// All arrays are C-contiguous doubles in atomic units. `species` holds, for every atom, the number of
// its species in the basis. Coefficients and rows of matrices run over atoms, the shells of an atom,
// and m (p as x, y, z; otherwise -l … l). Arguments are trusted here; the bindings check them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "densnet/basis.hpp"

namespace densnet {

// A batch of structures of the same atoms.
struct Structures {
    const Basis* basis;
    const std::int64_t* species;  // (n_atoms,)
    std::size_t n_atoms;
    const double* positions;  // (n_batch, n_atoms, 3)
    std::size_t n_batch;

    std::size_t n_functions() const;
};

// Overlap or Coulomb metric within every structure, out: (n_batch, n, n). If `zeroed`, out is known
// to hold zeros and elements that vanish are not written.
void metric_matrix(Metric metric, const Structures& structures, int n_threads, bool zeroed,
                   double* out);

// The same between structures, out: (n_batch, n_rows, n_columns); both batches are equally long.
void cross_matrix(Metric metric, const Structures& rows, const Structures& columns, int n_threads,
                  double* out);

// Gradient of Σ W_ij M_ij, weights: (n_batch, n, n), with respect to positions, (n_batch, n_atoms, 3),
// and to every primitive exponent of the basis, summed over the batch; shells stay normalised.
void metric_vjp(Metric metric, const Structures& structures, const double* weights, int n_threads,
                double* by_position, double* by_exponent);

// M c, out: (n_batch, n_functions).
void metric_apply(Metric metric, const Structures& structures, const double* coefficients,
                  int n_threads, double* out);

// M c, and the gradient of cᵀM c with respect to positions and exponents. Atoms at the very same place
// take no part in each other's position gradient: it comes from the direction between them.
void quadratic_gradient(Metric metric, const Structures& structures, const double* coefficients,
                        int n_threads, double* applied, double* by_position, double* by_exponent);

// Σ_i c_i φ_i and, if gradients is not null, its gradient (n_points, 3), for one structure.
void density_on_points(const Structures& structure, const double* coefficients,
                       const double* points, std::size_t n_points, int n_threads, double* values,
                       double* gradients);

// ∫ Σ_i c_i φ_i(r') / |r - r'| dr', for one structure.
void potential_on_points(const Structures& structure, const double* coefficients,
                         const double* points, std::size_t n_points, int n_threads,
                         double* values);

}  // namespace densnet

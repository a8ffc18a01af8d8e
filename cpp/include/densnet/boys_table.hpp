// F_n(T) = ∫₀¹ t^{2n} exp(-T t²) dt as pieces of degree 7.
#pragma once

#include "densnet/couplings.hpp"

namespace densnet {

constexpr double kBoysRowsPerUnit = 8.0;

// Row r of order n holds the coefficients of F_n in x = T - r / 8, |x| ≤ 1/16; interpolated at
// Chebyshev nodes the remainder is below 4e-17. The last row is at the largest Coulomb limit of the
// couplings with l_high = n.
struct BoysTable {
    const double* rows[kMaxOrder + 1];
    double largest[kMaxOrder + 1];  // T of the last row
};

// Built once for the process.
const BoysTable& boys_table();

}  // namespace densnet

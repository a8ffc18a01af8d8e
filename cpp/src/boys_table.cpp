#include "densnet/boys_table.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace densnet {
namespace {

constexpr int kDegree = 7;
constexpr double kPi = 3.14159265358979323846;

// F_0 … F_kMaxOrder by the series of the highest order, all terms positive, and the stable
// downward recursion F_n = (2T F_{n+1} + e^{-T}) / (2n + 1).
void boys_all(double t, long double* f) {
    const long double e = std::exp(-static_cast<long double>(t));
    long double term = 1.0L / (2 * kMaxOrder + 1), total = term;
    for (int k = 1; k < 400 && term > 1e-21L * total; ++k) {
        term *= 2.0L * t / (2 * kMaxOrder + 2 * k + 1);
        total += term;
    }
    f[kMaxOrder] = e * total;
    for (int n = kMaxOrder - 1; n >= 0; --n) f[n] = (2.0L * t * f[n + 1] + e) / (2 * n + 1);
}

struct Storage {
    std::vector<double> values[kMaxOrder + 1];
    BoysTable table;

    Storage() {
        double largest = 0.0;
        for (int n = 0; n <= kMaxOrder; ++n) {
            table.largest[n] = 0.0;
            for (int l_a = std::max(0, n - kMaxL); l_a <= std::min(n, kMaxL); ++l_a) {
                table.largest[n] = std::max(table.largest[n], coupling(l_a, n - l_a).coulomb_limit);
            }
            table.largest[n] = std::ceil(table.largest[n]) + 1.0;
            values[n].resize((static_cast<std::size_t>(table.largest[n] * kBoysRowsPerUnit) + 1) * 8);
            table.rows[n] = values[n].data();
            largest = std::max(largest, table.largest[n]);
        }
        const int n_rows = static_cast<int>(largest * kBoysRowsPerUnit) + 1;
        for (int row = 0; row < n_rows; ++row) fill_row(row);
    }

    // Newton's divided differences through eight Chebyshev nodes, expanded into powers of x.
    void fill_row(int row) {
        const double half = 0.5 / kBoysRowsPerUnit, centre = row / kBoysRowsPerUnit;
        double x[8];
        long double f[8][kMaxOrder + 1];
        for (int i = 0; i <= kDegree; ++i) {
            x[i] = half * std::cos(kPi * (i + 0.5) / 8.0);
            boys_signed(centre + x[i], f[i]);
        }
        for (int n = 0; n <= kMaxOrder; ++n) {
            if (centre > table.largest[n]) continue;
            long double d[8], power[8] = {};
            for (int i = 0; i <= kDegree; ++i) d[i] = f[i][n];
            for (int order = 1; order <= kDegree; ++order) {
                for (int i = kDegree; i >= order; --i) {
                    d[i] = (d[i] - d[i - 1]) / (static_cast<long double>(x[i]) - x[i - order]);
                }
            }
            for (int i = kDegree; i >= 0; --i) {
                for (int k = kDegree; k > 0; --k) power[k] = power[k - 1] - x[i] * power[k];
                power[0] = d[i] - x[i] * power[0];
            }
            for (int k = 0; k < 8; ++k) values[n][8 * row + k] = static_cast<double>(power[k]);
        }
    }

    // Half of the nodes of row 0 lie at slightly negative T, where F_n is as smooth.
    static void boys_signed(double t, long double* f) {
        if (t >= 0.0) return boys_all(t, f);
        for (int n = 0; n <= kMaxOrder; ++n) {
            long double term = 1.0L;
            f[n] = 0.0L;
            for (int k = 0; k < 30; ++k) {
                f[n] += term / (2 * n + 2 * k + 1);
                term *= -static_cast<long double>(t) / (k + 1);
            }
        }
    }
};

}  // namespace

const BoysTable& boys_table() {
    static const Storage storage;
    return storage.table;
}

}  // namespace densnet

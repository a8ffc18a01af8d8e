#include "densnet/rotations.hpp"

#include <array>
#include <cmath>
#include <vector>

namespace densnet {
namespace {

constexpr double kPi = 3.14159265358979323846;

using Dense = std::vector<std::vector<double>>;

// Normalised real harmonics of degree l at a point of the unit sphere, m = -l … l.
std::vector<double> harmonics(int l, double x, double y, double z) {
    std::vector<double> values(2 * l + 1);
    double cosine = 1.0, sine = 0.0;
    for (int m = 0; m <= l; ++m) {
        double previous = 0.0, current = double_factorial(m);
        for (int k = m; k < l; ++k) {
            const double next = ((2 * k + 1) * z * current - (k + m) * previous) / (k + 1 - m);
            previous = current;
            current = next;
        }
        const double ratio = std::exp(std::lgamma(l - m + 1.0) - std::lgamma(l + m + 1.0));
        const double norm = std::sqrt((2 * l + 1) / (4 * kPi) * ratio * (m == 0 ? 1.0 : 2.0));
        values[l - m] = norm * current * sine;
        values[l + m] = norm * current * cosine;
        const double c = x * cosine - y * sine;
        sine = x * sine + y * cosine;
        cosine = c;
    }
    return values;
}

// C_{mm'} = ∫ Y_m(z, x, y) Y_m'(x, y, z) dΩ, on a product grid that is exact for degree 2l.
Dense exchange(int l) {
    const int n = 2 * l + 1;
    Dense c(n, std::vector<double>(n, 0.0));
    const int n_angles = 2 * l + 1, n_nodes = 64;
    for (int i = 0; i < n_nodes; ++i) {
        // Clenshaw-Curtis-like rule of Fejér, exact to degree n_nodes - 1 in z.
        const double angle = kPi * (i + 0.5) / n_nodes;
        double weight = 1.0;
        for (int k = 1; k <= n_nodes / 2; ++k) {
            weight -= 2.0 * std::cos(2.0 * k * angle) / (4.0 * k * k - 1.0);
        }
        weight *= 2.0 / n_nodes * 2.0 * kPi / n_angles;
        for (int j = 0; j < n_angles; ++j) {
            const double phi = 2.0 * kPi * j / n_angles;
            const double x = std::sin(angle) * std::cos(phi), y = std::sin(angle) * std::sin(phi);
            const double z = std::cos(angle);
            const std::vector<double> left = harmonics(l, z, x, y), right = harmonics(l, x, y, z);
            for (int a = 0; a < n; ++a) {
                for (int b = 0; b < n; ++b) c[a][b] += weight * left[a] * right[b];
            }
        }
    }
    return c;
}

Dense transpose(const Dense& a) {
    Dense t(a.size(), std::vector<double>(a.size()));
    for (std::size_t i = 0; i < a.size(); ++i) {
        for (std::size_t j = 0; j < a.size(); ++j) t[j][i] = a[i][j];
    }
    return t;
}

Dense multiply(const Dense& a, const Dense& b) {
    Dense c(a.size(), std::vector<double>(a.size(), 0.0));
    for (std::size_t i = 0; i < a.size(); ++i) {
        for (std::size_t k = 0; k < a.size(); ++k) {
            for (std::size_t j = 0; j < a.size(); ++j) c[i][j] += a[i][k] * b[k][j];
        }
    }
    return c;
}

struct Stored {
    std::vector<int> first{0}, column;
    std::vector<double> value;

    explicit Stored(const Dense& dense) {
        for (const auto& row : dense) {
            for (std::size_t j = 0; j < row.size(); ++j) {
                if (std::abs(row[j]) < 1e-12) continue;
                column.push_back(static_cast<int>(j));
                value.push_back(row[j]);
            }
            first.push_back(static_cast<int>(value.size()));
        }
    }

    SparseMatrix view() const { return {first.data(), column.data(), value.data()}; }
};

struct Storage {
    std::vector<Stored> matrices;
    std::array<Rotation, kMaxL + 1> rotations;

    Storage() {
        matrices.reserve(4 * (kMaxL + 1));
        for (int l = 0; l <= kMaxL; ++l) {
            const Dense c = exchange(l), c_transpose = transpose(c);
            // ∂/∂φ of cos mφ is -m sin mφ, of sin mφ is m cos mφ
            Dense turn_z(2 * l + 1, std::vector<double>(2 * l + 1, 0.0));
            for (int m = -l; m <= l; ++m) turn_z[l + m][l - m] = -m;
            // The exchange takes y to z and x to y.
            const Dense turn_y = multiply(c_transpose, multiply(turn_z, c));
            const Dense turn_x = multiply(c_transpose, multiply(turn_y, c));
            rotations[l] = {keep(c), keep(c_transpose), keep(turn_x), keep(turn_y)};
        }
    }

    SparseMatrix keep(const Dense& dense) {
        matrices.emplace_back(dense);
        return matrices.back().view();
    }
};

}  // namespace

const Rotation& rotation(int l) {
    static const Storage storage;
    return storage.rotations[l];
}

}  // namespace densnet

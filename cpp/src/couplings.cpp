#include "densnet/couplings.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

namespace densnet {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kNodes = kMaxOrder + 1;         // Gauss-Legendre: exact to degree 2·kMaxOrder + 1
constexpr int kAngles = 2 * kMaxOrder + 1;    // trapezoid: exact to e^{i 2·kMaxOrder φ}

// Normalised real spherical harmonics on a product grid, as a θ factor and a φ factor.
struct Grid {
    double weight[kNodes];
    double theta[kMaxOrder + 1][kMaxOrder + 1][kNodes];  // [l][|m|]
    double phi[2 * kMaxOrder + 1][kAngles];              // [m + kMaxOrder]

    Grid() {
        double z[kNodes];
        for (int i = 0; i < kNodes; ++i) {
            double x = std::cos(kPi * (i + 0.75) / (kNodes + 0.5)), slope = 1.0;
            for (int iteration = 0; iteration < 50; ++iteration) {
                double p0 = 1.0, p1 = x;
                for (int k = 2; k <= kNodes; ++k) {
                    const double p2 = ((2 * k - 1) * x * p1 - (k - 1) * p0) / k;
                    p0 = p1;
                    p1 = p2;
                }
                slope = kNodes * (x * p1 - p0) / (x * x - 1.0);
                x -= p1 / slope;
            }
            z[i] = x;
            weight[i] = 2.0 / ((1.0 - x * x) * slope * slope);
        }
        for (int m = 0; m <= kMaxOrder; ++m) {
            for (int i = 0; i < kNodes; ++i) {
                const double s = std::sqrt(1.0 - z[i] * z[i]);
                double previous = 0.0, current = double_factorial(m) * std::pow(s, m);
                for (int l = m; l <= kMaxOrder; ++l) {
                    const double ratio = std::exp(std::lgamma(l - m + 1.0) - std::lgamma(l + m + 1.0));
                    theta[l][m][i] = std::sqrt((2 * l + 1) / (4 * kPi) * ratio) * current;
                    const double next =
                        ((2 * l + 1) * z[i] * current - (l + m) * previous) / (l + 1 - m);
                    previous = current;
                    current = next;
                }
            }
        }
        for (int m = -kMaxOrder; m <= kMaxOrder; ++m) {
            for (int j = 0; j < kAngles; ++j) {
                const double angle = 2 * kPi * j / kAngles;
                phi[m + kMaxOrder][j] = m == 0  ? 1.0
                                        : m > 0 ? std::sqrt(2.0) * std::cos(m * angle)
                                                : std::sqrt(2.0) * std::sin(-m * angle);
            }
        }
    }

    // ∫ Y_lm Y_l'm' Y_LM dΩ, exactly symmetric in the first two, and so are the matrices made of it.
    double gaunt(int l1, int m1, int l2, int m2, int l3, int m3) const {
        double polar = 0.0, azimuthal = 0.0;
        for (int i = 0; i < kNodes; ++i) {
            polar += (theta[l1][std::abs(m1)][i] * theta[l2][std::abs(m2)][i]) *
                     (weight[i] * theta[l3][std::abs(m3)][i]);
        }
        for (int j = 0; j < kAngles; ++j) {
            azimuthal +=
                (phi[m1 + kMaxOrder][j] * phi[m2 + kMaxOrder][j]) * phi[m3 + kMaxOrder][j];
        }
        return polar * azimuthal * 2.0 * kPi / kAngles;
    }
};

// The value of m at a place of the coefficient order: p as x, y, z, others as -l … l.
int m_at(int l, int place) {
    constexpr int p_order[3] = {1, -1, 0};
    return l == 1 ? p_order[place] : place - l;
}

using Polynomial = std::array<double, kMaxTerms + 1>;

// j! L_j^{(α)}(x)
Polynomial scaled_laguerre(int j, double alpha) {
    Polynomial result{};
    for (int i = 0; i <= j; ++i) {
        const double log_size = std::lgamma(j + alpha + 1.0) - std::lgamma(alpha + i + 1.0) -
                                std::lgamma(j - i + 1.0) - std::lgamma(i + 1.0) +
                                std::lgamma(j + 1.0);
        result[i] = (i % 2 ? -1.0 : 1.0) * std::exp(log_size);
    }
    return result;
}

double evaluate(const double* polynomial, double t) {
    double value = 0.0;
    for (int d = kMaxTerms; d >= 0; --d) value = value * t + polynomial[d];
    return value;
}

// With M = R^l e^{-T} P(T): R ∂M/∂R = R^l e^{-T} (l P + 2T (P' - P)).
void slope(const double* axial, int l, double* result) {
    for (int d = 0; d <= kMaxTerms; ++d) {
        result[d] = (l + 2 * d) * axial[d] - (d > 0 ? 2.0 * axial[d - 1] : 0.0);
    }
}

struct StoredCoupling {
    Coupling coupling{};
    std::unique_ptr<int[][2]> harmonic;
    std::unique_ptr<double[][2]> value;
};

void set_sparse_products(StoredCoupling& stored, const Grid& grid) {
    Coupling& c = stored.coupling;
    c.n_entries = (c.n + 1) * (2 * c.l_a + 1) * (2 * c.l_b + 1);
    const std::size_t padded = c.n_entries + 8;
    stored.harmonic = std::make_unique<int[][2]>(padded);
    stored.value = std::make_unique<double[][2]>(padded);
    int entry = 0;
    for (int k = 0; k <= c.n; ++k) {
        const int l = c.l_low + 2 * k;
        for (int i = 0; i < 2 * c.l_a + 1; ++i) {
            for (int j = 0; j < 2 * c.l_b + 1; ++j, ++entry) {
                const int m_a = m_at(c.l_a, i), m_b = m_at(c.l_b, j);
                int term = 0;
                for (int m = -l; m <= l; ++m) {
                    const int size = std::abs(m);
                    if (size != std::abs(std::abs(m_a) - std::abs(m_b)) &&
                        size != std::abs(m_a) + std::abs(m_b)) {
                        continue;
                    }
                    const double value = grid.gaunt(c.l_a, m_a, c.l_b, m_b, l, m);
                    if (std::abs(value) < 1e-13) continue;
                    stored.harmonic[entry][term] = l * l + l + m;
                    stored.value[entry][term] = value;
                    ++term;
                }
            }
        }
    }
    c.harmonic = stored.harmonic.get();
    c.value = stored.value.get();
}

void set_radial_functions(Coupling& c, const Grid& grid) {
    const double far_size = double_factorial(c.l_high) * (c.l_a % 2 ? -1.0 : 1.0);
    for (int k = 0; k <= c.n; ++k) {
        const int l = c.l_low + 2 * k;
        const Polynomial overlap = scaled_laguerre(c.n - k, l + 0.5);
        const Polynomial coulomb = k < c.n ? scaled_laguerre(c.n - k - 1, l + 0.5) : Polynomial{};
        std::copy_n(overlap.begin(), kMaxTerms, c.overlap_radial[k]);
        std::copy_n(coulomb.begin(), kMaxTerms, c.coulomb_radial[k]);
        for (int m = 0; m <= c.n; ++m) {
            const double axis = std::sqrt((2 * l + 1) / (4 * kPi)) *
                                grid.gaunt(c.l_a, m, c.l_b, m, l, 0);
            const double sign = k % 2 ? -1.0 : 1.0;
            for (int d = 0; d + k <= kMaxTerms; ++d) {
                c.overlap_axial[m][d + k] += axis * sign * overlap[d];
                c.coulomb_axial[m][d + k] += axis * sign * coulomb[d];
            }
            if (k == c.n) {
                c.top[m] = 2.0 * sign * axis;
                c.far[m] = far_size * axis;
            }
        }
    }
    for (int m = 0; m <= c.n; ++m) {
        slope(c.overlap_axial[m], c.l_low, c.overlap_slope[m]);
        slope(c.coulomb_axial[m], c.l_low, c.coulomb_slope[m]);
        c.coulomb_slope[m][c.n] += c.top[m];
    }
}

// |S_m| of normalised shells at the worst ratio of exponents.
double overlap_bound(const Coupling& c, double t) {
    const auto weight = [](int l) {
        return std::sqrt(2.0 * std::pow(2.0, l + 1.5) / std::tgamma(l + 1.5)) * std::pow(kPi, 1.5) *
               std::pow(2.0, -l);
    };
    const double alpha = 0.5 * c.l_a + 0.75, beta = 0.5 * c.l_b + 0.75;
    const double x = alpha / (alpha + beta);
    const double ratio = std::pow(x, alpha) * std::pow(1.0 - x, beta);
    double largest = 0.0;
    for (int m = 0; m <= c.n; ++m) {
        largest = std::max(largest, std::abs(evaluate(c.overlap_axial[m], t)));
    }
    return weight(c.l_a) * weight(c.l_b) * ratio * std::pow(kPi, -1.5) *
           std::pow(2.0, c.l_low + 2 * c.n) * std::pow(t, 0.5 * c.l_low) * std::exp(-t) * largest;
}

// Error of taking the interaction of multipoles for the Coulomb integral, relative to it.
double multipole_error(const Coupling& c, double t) {
    const int order = c.l_high;
    double upper = std::sqrt(kPi) * std::erfc(std::sqrt(t));  // Γ(n + 1/2, T)
    for (int i = 0; i < order; ++i) upper = (i + 0.5) * upper + std::pow(t, i + 0.5) * std::exp(-t);
    const double complete = std::tgamma(order + 0.5);
    double largest = 0.0;
    for (int m = 0; m <= c.n; ++m) {
        const double multipole = std::abs(c.top[m]) * std::pow(t, c.n - order - 0.5) * 0.5 * complete;
        const double rest = std::exp(-t) * std::abs(evaluate(c.coulomb_axial[m], t));
        largest = std::max(largest, rest / multipole + upper / complete);
    }
    return largest;
}

template <typename Error>
double limit(Error error, double tolerance) {
    double t = 120.0;
    while (t > 1.0 && error(t - 0.25) < tolerance) t -= 0.25;
    return t;
}

using Table = std::array<std::unique_ptr<StoredCoupling>, (kMaxL + 1) * (kMaxL + 1)>;

Table build() {
    const Grid grid;
    Table table;
    for (int l_a = 0; l_a <= kMaxL; ++l_a) {
        for (int l_b = 0; l_b <= kMaxL; ++l_b) {
            auto stored = std::make_unique<StoredCoupling>();
            Coupling& c = stored->coupling;
            c.l_a = l_a;
            c.l_b = l_b;
            c.n = std::min(l_a, l_b);
            c.l_low = std::abs(l_a - l_b);
            c.l_high = l_a + l_b;
            set_sparse_products(*stored, grid);
            set_radial_functions(c, grid);
            c.overlap_limit = limit([&](double t) { return overlap_bound(c, t); }, kOverlapError);
            c.coulomb_limit = limit([&](double t) { return multipole_error(c, t); }, kCoulombError);
            table[l_a * (kMaxL + 1) + l_b] = std::move(stored);
        }
    }
    return table;
}

}  // namespace

double double_factorial(int n) {
    double value = 1.0;
    for (int k = 2 * n - 1; k > 1; k -= 2) value *= k;
    return value;
}

const double* harmonic_norms() {
    static const auto table = [] {
        std::array<double, (kMaxOrder + 1) * (kMaxOrder + 1)> norms{};
        for (int l = 0; l <= kMaxOrder; ++l) {
            for (int m = 0; m <= l; ++m) {
                const double ratio = std::exp(std::lgamma(l - m + 1.0) - std::lgamma(l + m + 1.0));
                norms[l * (kMaxOrder + 1) + m] =
                    std::sqrt((2 * l + 1) / (4 * kPi) * ratio * (m > 0 ? 2.0 : 1.0)) *
                    double_factorial(m);
            }
        }
        return norms;
    }();
    return table.data();
}

const Coupling& coupling(int l_a, int l_b) {
    static const Table table = build();
    return table[l_a * (kMaxL + 1) + l_b]->coupling;
}

}  // namespace densnet

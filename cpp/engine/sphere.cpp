#include "sphere.hpp"

#include <cmath>
#include <stdexcept>

namespace densnet {
namespace engine {

namespace {

// N_lm, m ≥ 0
struct Norms {
    double of[kMaxL + 1][kMaxL + 1] = {};

    Norms() {
        for (int k = 0; k <= kMaxL; ++k) {
            double ratio = 1.0;
            for (int i = 1; i <= 2 * k; ++i) ratio /= i;
            for (int l = k; l <= kMaxL; ++l) {
                if (l > k) ratio *= static_cast<double>(l - k) / (l + k);
                of[l][k] = std::sqrt((2 * l + 1) * (k > 0 ? 2.0 : 1.0) * ratio);
            }
        }
    }
};

}  // namespace

const double* harmonic_norms() {
    static const Norms norms;
    return &norms.of[0][0];
}

// Y_lm = N_lm (d^|m| P_l / dz^|m|) Re or Im (x + iy)^|m|, N² = (2l+1) (2 − δ_m0) (l−|m|)!/(l+|m|)!.
void harmonics(int l_max, const double* unit, double* values) {
    const double x = unit[0], y = unit[1], z = unit[2];
    // q[l][k] = d^k P_l / dz^k
    double q[kMaxL + 2][kMaxL + 2] = {};
    q[0][0] = 1.0;
    for (int l = 0; l < l_max; ++l) {
        for (int k = 0; k <= l + 1; ++k) {
            const double before = l > 0 ? q[l - 1][k] : 0.0;
            const double below = k > 0 ? q[l][k - 1] : 0.0;
            q[l + 1][k] = ((2 * l + 1) * (z * q[l][k] + k * below) - l * before) / (l + 1);
        }
    }
    double cosine = 1.0, sine = 0.0;
    for (int k = 0; k <= l_max; ++k) {
        for (int l = k; l <= l_max; ++l) {
            const double along = harmonic_norms()[l * (kMaxL + 1) + k] * q[l][k];
            values[l * l + l + k] = along * cosine;
            if (k > 0) values[l * l + l - k] = along * sine;
        }
        const double before = cosine;
        cosine = x * before - y * sine;
        sine = x * sine + y * before;
    }
}

const SphereRule& rule_for(const std::vector<SphereRule>& rules, int degree) {
    for (const SphereRule& rule : rules) {
        if (rule.degree >= degree) return rule;
    }
    throw std::invalid_argument("no rule on the sphere is exact up to degree " + std::to_string(degree));
}

namespace {

constexpr double kZero = 1e-10;

// Which points of a rule the kernels visit, and the table Y_lm and w Y_lm at them.
template <typename T>
void tabulate(const SphereRule& rule, const std::vector<int>& chosen, double factor,
              Aligned<T>& plain, Aligned<T>& weighted) {
    plain = Aligned<T>(chosen.size() * kMaxHarmonics);
    weighted = Aligned<T>(chosen.size() * kMaxHarmonics);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        double values[kMaxHarmonics];
        harmonics(kMaxL, &rule.points[3 * chosen[i]], values);
        for (int h = 0; h < kMaxHarmonics; ++h) {
            plain[i * kMaxHarmonics + h] = static_cast<T>(values[h]);
            weighted[i * kMaxHarmonics + h] =
                static_cast<T>(factor * rule.weights[chosen[i]] * values[h]);
        }
    }
}

}  // namespace

template <typename T>
Orbits<T>::Orbits(const SphereRule& rule) {
    std::vector<int> chosen;
    std::size_t n_points = 0;
    for (std::size_t i = 0; i < rule.weights.size(); ++i) {
        const double* r = &rule.points[3 * i];
        if (r[0] < -kZero || r[1] < -kZero || r[2] < -kZero) continue;
        const int mask = (r[0] > kZero ? 1 : 0) + (r[1] > kZero ? 2 : 0) + (r[2] > kZero ? 4 : 0);
        chosen.push_back(static_cast<int>(i));
        masks.push_back(mask);
        n_points += std::size_t{1} << ((mask & 1) + (mask >> 1 & 1) + (mask >> 2 & 1));
    }
    if (n_points != rule.weights.size()) {
        throw std::invalid_argument("a rule on the sphere lacks the symmetry of the octahedron");
    }
    tabulate(rule, chosen, 1.0, harmonics, weighted);
}

template <typename T>
OrbitView<T> Orbits<T>::view() const {
    return {static_cast<int>(masks.size()), masks.data(), harmonics.data(), weighted.data()};
}

template <typename T>
Pairs<T>::Pairs(const SphereRule& rule) {
    std::vector<int> chosen;
    for (std::size_t i = 0; i < rule.weights.size(); ++i) {
        const double* r = &rule.points[3 * i];
        const bool upper = r[2] > kZero || (r[2] > -kZero && (r[1] > kZero || (r[1] > -kZero && r[0] > 0.0)));
        if (upper) chosen.push_back(static_cast<int>(i));
    }
    if (2 * chosen.size() != rule.weights.size()) {
        throw std::invalid_argument("a rule on the sphere lacks inversion symmetry");
    }
    n_pairs = static_cast<int>(chosen.size());
    n_padded = padded<T>(n_pairs);
    x = Aligned<T>(3 * n_padded);
    for (int i = 0; i < n_pairs; ++i) {
        for (int axis = 0; axis < 3; ++axis) {
            x[axis * n_padded + i] = static_cast<T>(rule.points[3 * chosen[i] + axis]);
        }
    }
    tabulate(rule, chosen, 2.0, harmonics, weighted);
}

template <typename T>
PairView<T> Pairs<T>::view() const {
    return {n_pairs, n_padded, x.data(), harmonics.data(), weighted.data()};
}

template struct Orbits<float>;
template struct Orbits<double>;
template struct Pairs<float>;
template struct Pairs<double>;

}  // namespace engine
}  // namespace densnet

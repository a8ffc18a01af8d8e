#include "expansion_order.hpp"

#include <algorithm>
#include <cmath>

#include "densnet/vector_kernels.hpp"

namespace densnet {
namespace {

constexpr double kPi = 3.14159265358979323846;

struct Binomials {
    static constexpr int kSize = kMaxOrder + kMaxExpansion + 2;
    double value[kSize + 1][kSize + 1] = {};

    Binomials() {
        for (int n = 0; n <= kSize; ++n) {
            value[n][0] = 1.0;
            for (int k = 1; k <= n; ++k) value[n][k] = value[n - 1][k - 1] + (k < n ? value[n - 1][k] : 0.0);
        }
    }
};

double binomial(int n, int k) {
    static const Binomials table;
    return table.value[n][k];
}

}  // namespace

ExpansionOrder::ExpansionOrder(const Basis& basis) : l_max_(basis.l_max()) {
    // largest moment of a shell of each degree, in units of the root of its own element
    std::array<double, kMaxL + 1> moment{};
    for (std::size_t s = 0; s < basis.species().size(); ++s) {
        const Species& of = basis.species()[s];
        const double* block = basis.on_site(Metric::coulomb, static_cast<int>(s)).data();
        for (const Group& group : of.groups) {
            for (int shell = 0; shell < group.n_shells; ++shell) {
                const std::size_t f = group.first_function + shell * (2 * group.l + 1);
                const double element = block[f * of.n_functions + f];
                moment[group.l] = std::max(moment[group.l], std::abs(group.moment[shell]) / std::sqrt(element));
            }
        }
    }
    for (int a = 0; a <= l_max_; ++a) {
        for (int b = 0; b <= l_max_; ++b) {
            const double norm = double_factorial(a) * double_factorial(b) *
                                std::sqrt((2 * a + 1.0) * (2 * b + 1.0)) / (4.0 * kPi);
            largest_[a + b] = std::max(largest_[a + b], 2.0 * norm * std::sqrt(binomial(2 * (a + b), 2 * a)) *
                                                            moment[a] * moment[b]);
        }
    }
}

bool ExpansionOrder::enough(int order, double distance, double extent) const {
    const double ratio = std::max(extent / distance, 1e-6);
    double factor = std::pow(ratio, order + 1) / distance;
    for (int l = 0; l <= 2 * l_max_; ++l) {
        // the first term left out, and the others as a geometric series
        const int n = std::max(order - l + 1, 0);
        const double next = ratio * (l + n + 1.0) / (n + 1.0);
        if (largest_[l] * factor * binomial(l + n, n) > kCoulombError * (1.0 - next)) return false;
        factor /= n > 0 ? ratio * distance : distance;
    }
    return true;
}

int ExpansionOrder::find(double distance, double extent, int guess) const {
    int order = guess;
    while (order > 0 && enough(order - 1, distance, extent)) --order;
    if (order < guess) return order;
    while (order <= kMaxExpansion && !enough(order, distance, extent)) ++order;
    return order;
}

}  // namespace densnet

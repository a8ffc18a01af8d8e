#include <algorithm>
#include <cmath>
#include <vector>

#include "blocks.hpp"
#include "densnet/boys_table.hpp"
#include "densnet/kernel.hpp"
#include "densnet/parallel.hpp"
#include "form_views.hpp"

namespace densnet {
namespace {

// f_k of one pair of primitives, and R ∂f_k/∂R.
struct RadialSlopes {
    double f[kMaxTerms];
    double slope[kMaxTerms];
};

double boys(int n, double t) {
    const BoysTable& table = boys_table();
    if (t >= table.largest[n]) {
        return 0.5 * std::tgamma(n + 0.5) / std::pow(t, n + 0.5);
    }
    const double row = std::round(t * kBoysRowsPerUnit), x = t - row / kBoysRowsPerUnit;
    const double* c = table.rows[n] + 8 * static_cast<std::size_t>(row);
    double value = c[7];
    for (int k = 6; k >= 0; --k) value = value * x + c[k];
    return value;
}

// With f = e^{-T} P(T): R ∂f/∂R = 2T e^{-T} (P' - P).
void add_polynomial(const double* polynomial, int degree, double t, double factor, double& f,
                    double& slope) {
    double value = 0.0, derivative = 0.0;
    for (int d = degree; d >= 0; --d) {
        derivative = derivative * t + value;
        value = value * t + polynomial[d];
    }
    f = factor * value;
    slope = 2.0 * t * factor * (derivative - value);
}

RadialSlopes radial_slopes(Metric metric, const Coupling& k, double p, double c,
                           double squared_distance) {
    RadialSlopes result;
    const double t = p * squared_distance;
    const double e = std::exp(-t);
    double power = c;
    for (int i = 0; i <= k.n; ++i) {
        if (metric == Metric::coulomb && i == k.n) {
            const double value = boys(k.l_high, t);
            result.f[i] = 2.0 * power * value;
            result.slope[i] = 2.0 * power * (e - (2 * k.l_high + 1) * value);
        } else if (metric == Metric::coulomb) {
            add_polynomial(k.coulomb_radial[i], k.n - i - 1, t, power * e, result.f[i],
                           result.slope[i]);
        } else {
            add_polynomial(k.overlap_radial[i], k.n - i, t, power * e, result.f[i],
                           result.slope[i]);
        }
        power *= -p;
    }
    return result;
}

struct Totals {
    std::vector<double> by_position, energy, slope;
};

// Solid harmonics of one vector and their gradients, [l² + l + m]; the recursions are those of
// vector/points.hpp.
void harmonic_gradients(int l_max, const double* r, double* s, double* ds) {
    const double* norms = harmonic_norms();
    const double x = r[0], y = r[1], z = r[2], r2 = x * x + y * y + z * z;
    double cosine[kMaxOrder + 2] = {1.0}, sine[kMaxOrder + 2] = {0.0};
    for (int m = 1; m <= l_max; ++m) {
        cosine[m] = x * cosine[m - 1] - y * sine[m - 1];
        sine[m] = x * sine[m - 1] + y * cosine[m - 1];
    }
    double q[kMaxOrder + 2][kMaxOrder + 2] = {};
    for (int m = 0; m <= l_max; ++m) {
        double previous = 0.0, current = 1.0;
        for (int l = m; l <= l_max; ++l) {
            q[l][m] = current;
            const double next = ((2 * l + 1) * z * current - (l + m) * r2 * previous) / (l + 1 - m);
            previous = current;
            current = next;
        }
    }
    for (int l = 0; l <= l_max; ++l) {
        for (int m = 0; m <= l; ++m) {
            const double norm = norms[l * (kMaxOrder + 1) + m], value = norm * q[l][m];
            const double by_z = l > 0 ? norm * (l + m) * q[l - 1][m] : 0.0;
            const double by_rho = l > 0 ? -norm * (2 * m + 1) * q[l - 1][m + 1] : 0.0;
            const double c1 = m > 0 ? m * value * cosine[m - 1] : 0.0;
            const double s1 = m > 0 ? m * value * sine[m - 1] : 0.0;
            const int plus = l * l + l + m, minus = l * l + l - m;
            s[plus] = value * cosine[m];
            ds[3 * plus] = x * by_rho * cosine[m] + c1;
            ds[3 * plus + 1] = y * by_rho * cosine[m] - s1;
            ds[3 * plus + 2] = by_z * cosine[m];
            if (m == 0) continue;
            s[minus] = value * sine[m];
            ds[3 * minus] = x * by_rho * sine[m] + s1;
            ds[3 * minus + 1] = y * by_rho * sine[m] + c1;
            ds[3 * minus + 2] = by_z * sine[m];
        }
    }
}

// Contributions of one pair of atoms (or of an atom with itself, R = 0) with weights W_ab.
void add_pair(Metric metric, const Species& a, const Species& b, const SpeciesPair& pair,
              const double* vector, const double* weights, std::size_t stride, double* gradient_a,
              double* gradient_b, Totals& totals) {
    const int l_high = a.l_max + b.l_max;
    double s[(kMaxOrder + 1) * (kMaxOrder + 1)], ds[3 * (kMaxOrder + 1) * (kMaxOrder + 1)];
    harmonic_gradients(l_high, vector, s, ds);
    const double r2 = vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2];
    const double inverse = r2 > 0.0 ? 1.0 / r2 : 0.0;
    double gradient[3] = {};
    for (std::size_t ga = 0; ga < a.groups.size(); ++ga) {
        for (std::size_t gb = 0; gb < b.groups.size(); ++gb) {
            const Group &x = a.groups[ga], &y = b.groups[gb];
            const RadialPairs& radial = pair.groups[ga * b.groups.size() + gb];
            const Coupling& k = *radial.coupling;
            if (metric == Metric::overlap && radial.smallest_p * r2 > k.overlap_limit) continue;
            const int n_a = 2 * x.l + 1, n_b = 2 * y.l + 1;
            const double scale = (metric == Metric::coulomb ? 0.5 : 1.5) + 0.5 * (x.l + y.l);
            // Σ f_k W over all primitives, for the angular part of the gradient
            std::vector<double> gathered(static_cast<std::size_t>(k.n_entries), 0.0);
            for (int i = 0; i < x.n_primitives; ++i) {
                for (int j = 0; j < y.n_primitives; ++j) {
                    const int at = i * y.n_primitives + j;
                    const double p = radial.p[at];
                    if (metric == Metric::overlap && p * r2 > k.overlap_limit) continue;
                    const RadialSlopes f = radial_slopes(metric, k, p, radial.c[at], r2);
                    const double* w = weights + (x.first_function + x.shell[i] * n_a) * stride +
                                      y.first_function + y.shell[j] * n_b;
                    double energy = 0.0, radial_slope = 0.0, through_p = 0.0;
                    int entry = 0;
                    for (int term = 0; term <= k.n; ++term) {
                        double contracted = 0.0;
                        for (int m = 0; m < n_a; ++m) {
                            for (int o = 0; o < n_b; ++o, ++entry) {
                                double g = 0.0;
                                for (int t = 0; t < 2; ++t) {
                                    g += k.value[entry][t] * s[k.harmonic[entry][t]];
                                }
                                const double value = w[m * stride + o];
                                contracted += g * value;
                                gathered[entry] += f.f[term] * value;
                            }
                        }
                        const int l = k.l_low + 2 * term;
                        energy += contracted * f.f[term];
                        radial_slope += contracted * f.slope[term];
                        through_p += contracted * ((scale + 0.5 * l) * f.f[term] + 0.5 * f.slope[term]);
                    }
                    for (int axis = 0; axis < 3; ++axis) {
                        gradient[axis] += radial_slope * inverse * vector[axis];
                    }
                    const double u = x.exponents[i], v = y.exponents[j];
                    totals.energy[x.first_primitive + i] += energy;
                    totals.energy[y.first_primitive + j] += energy;
                    totals.slope[x.first_primitive + i] += through_p * p / (u * u);
                    totals.slope[y.first_primitive + j] += through_p * p / (v * v);
                }
            }
            for (int entry = 0; entry < k.n_entries; ++entry) {
                for (int t = 0; t < 2; ++t) {
                    for (int axis = 0; axis < 3; ++axis) {
                        gradient[axis] +=
                            gathered[entry] * k.value[entry][t] * ds[3 * k.harmonic[entry][t] + axis];
                    }
                }
            }
        }
    }
    for (int axis = 0; axis < 3; ++axis) {
        gradient_a[axis] += gradient[axis];
        gradient_b[axis] -= gradient[axis];
    }
}

}  // namespace

void metric_vjp(Metric metric, const Structures& structures, const double* weights, int n_threads,
                double* by_position, double* by_exponent) {
    const Basis& basis = *structures.basis;
    const std::size_t n_atoms = structures.n_atoms;
    const auto first = first_functions(basis, structures.species, n_atoms);
    const std::size_t n = first.back();
    // some 4 ns an element and more
    n_threads = worthwhile_threads(
        n_threads, 4.0 * static_cast<double>(structures.n_batch * n) * static_cast<double>(n));
    std::vector<Totals> totals(n_threads);
    for (Totals& t : totals) {
        t.by_position.assign(structures.n_batch * n_atoms * 3, 0.0);
        t.energy.assign(basis.n_primitives(), 0.0);
        t.slope.assign(basis.n_primitives(), 0.0);
    }
    parallel_for(structures.n_batch * n_atoms, n_threads, [&](std::size_t item, int thread) {
        Totals& sum = totals[thread];
        const std::size_t s = item / n_atoms, a = item % n_atoms;
        const double* positions = structures.positions + 3 * n_atoms * s;
        double* gradients = sum.by_position.data() + 3 * n_atoms * s;
        const auto species_a = static_cast<int>(structures.species[a]);
        for (std::size_t b = 0; b < n_atoms; ++b) {
            const auto species_b = static_cast<int>(structures.species[b]);
            double vector[3];
            for (int axis = 0; axis < 3; ++axis) {
                vector[axis] = positions[3 * a + axis] - positions[3 * b + axis];
            }
            add_pair(metric, basis.species()[species_a], basis.species()[species_b],
                     basis.pair(metric, species_a, species_b), vector,
                     weights + s * n * n + first[a] * n + first[b], n, gradients + 3 * a,
                     gradients + 3 * b, sum);
        }
    });
    for (int t = 1; t < n_threads; ++t) {
        for (std::size_t i = 0; i < totals[0].by_position.size(); ++i) {
            totals[0].by_position[i] += totals[t].by_position[i];
        }
        for (std::size_t i = 0; i < basis.n_primitives(); ++i) {
            totals[0].energy[i] += totals[t].energy[i];
            totals[0].slope[i] += totals[t].slope[i];
        }
    }
    std::copy(totals[0].by_position.begin(), totals[0].by_position.end(), by_position);
    finish_exponents(basis, totals[0].energy.data(), totals[0].slope.data(), by_exponent);
}

}  // namespace densnet

// The density, its gradient and its potential on W points at once.
#pragma once

#include "harmonics.hpp"
#include "radial.hpp"

namespace densnet {
namespace DENSNET_NAMESPACE {

// exp(-a r²) below e^-46 = 1e-20 is dropped.
constexpr double kDensityLimit = 46.0;

struct Separation {
    V x, y, z, r2;
    double nearest;  // smallest r² of the lanes
};

DENSNET_INLINE Separation separate(const V* r, const double* centre) {
    Separation s;
    s.x = r[0] - set1(centre[0]);
    s.y = r[1] - set1(centre[1]);
    s.z = r[2] - set1(centre[2]);
    s.r2 = fma(s.x, s.x, fma(s.y, s.y, s.z * s.z));
    s.nearest = s.r2[0];
    for (int i = 1; i < W; ++i) s.nearest = s.r2[i] < s.nearest ? s.r2[i] : s.nearest;
    return s;
}

// Points i … i + W - 1 as x, y, z; the last point fills lanes past the end.
DENSNET_INLINE void load_points(const PointsJob& job, std::ptrdiff_t i, V* r) {
    double buffer[3][W];
    for (int lane = 0; lane < W; ++lane) {
        const std::ptrdiff_t point = i + lane < job.last ? i + lane : job.last - 1;
        for (int axis = 0; axis < 3; ++axis) buffer[axis][lane] = job.points[3 * point + axis];
    }
    for (int axis = 0; axis < 3; ++axis) r[axis] = load(buffer[axis]);
}

// Radial parts of one group: sum[m] = Σ_k c_m w_k e^{-a_k r²}, slope[m] = Σ_k c_m w_k (-2a_k) e^{-a_k r²}.
// Returns whether any primitive reaches any of the points.
template <int L, bool GRADIENTS>
static bool contract(const FormGroup& group, const double* coefficients, const Separation& at, V* sum,
                     V* slope) {
    constexpr int N = 2 * L + 1;
    // Local, so that they stay in registers: writing through a pointer might change the basis.
    V total[N], rate[N];
    for (int m = 0; m < N; ++m) total[m] = rate[m] = set1(0.0);
    bool reached = false;
    for (int k = 0; k < group.n_primitives; ++k) {
        const double a = group.exponents[k];
        if (a * at.nearest > kDensityLimit) continue;
        reached = true;
        const double* c = coefficients + group.first_function + group.shell[k] * N;
        const V e = set1(group.weights[k]) * exponential(set1(-a) * at.r2);
        const V d = set1(-2.0 * a) * e;
#pragma GCC unroll 16
        for (int m = 0; m < N; ++m) {
            total[m] = fma(set1(c[m]), e, total[m]);
            if (GRADIENTS) rate[m] = fma(set1(c[m]), d, rate[m]);
        }
    }
    for (int m = 0; m < N; ++m) {
        sum[m] = total[m];
        slope[m] = rate[m];
    }
    return reached;
}

template <bool GRADIENTS>
static bool contract_any(const FormGroup& group, const double* coefficients, const Separation& at,
                         V* sum, V* slope) {
    switch (group.l) {
        case 0: return contract<0, GRADIENTS>(group, coefficients, at, sum, slope);
        case 1: return contract<1, GRADIENTS>(group, coefficients, at, sum, slope);
        case 2: return contract<2, GRADIENTS>(group, coefficients, at, sum, slope);
        case 3: return contract<3, GRADIENTS>(group, coefficients, at, sum, slope);
        case 4: return contract<4, GRADIENTS>(group, coefficients, at, sum, slope);
        case 5: return contract<5, GRADIENTS>(group, coefficients, at, sum, slope);
        default: return contract<6, GRADIENTS>(group, coefficients, at, sum, slope);
    }
}

// Gradients of the solid harmonics at [l² + l + m].
struct HarmonicGradients {
    V x[(kMaxL + 1) * (kMaxL + 1)], y[(kMaxL + 1) * (kMaxL + 1)], z[(kMaxL + 1) * (kMaxL + 1)];
};

// S_lm = n Q_lm(z, ρ²) A_m(x, y), A_m = Re or Im (x + iy)^m, with Q_mm = 1, ∂Q_lm/∂z = (l + m) Q_{l-1,m}
// and ∂Q_lm/∂ρ² = -½ (2m + 1) Q_{l-1,m+1}.
static void harmonics_with_gradients(int l_max, const Separation& at, V* s, HarmonicGradients& d) {
    const double* norms = harmonic_norms();
    V cosine[kMaxL + 2], sine[kMaxL + 2];
    cosine[0] = set1(1.0);
    sine[0] = set1(0.0);
    for (int m = 1; m <= l_max; ++m) {
        cosine[m] = fnma(at.y, sine[m - 1], at.x * cosine[m - 1]);
        sine[m] = fma(at.x, sine[m - 1], at.y * cosine[m - 1]);
    }
    V q[kMaxL + 2][kMaxL + 2];
    for (int m = 0; m <= l_max + 1; ++m) {
        for (int l = 0; l < m && l <= l_max; ++l) q[l][m] = set1(0.0);
        V previous = set1(0.0), current = set1(1.0);
        for (int l = m; l <= l_max; ++l) {
            q[l][m] = current;
            const V next = fnma(set1(static_cast<double>(l + m)) * at.r2, previous,
                                set1(static_cast<double>(2 * l + 1)) * at.z * current) *
                           set1(1.0 / (l + 1 - m));
            previous = current;
            current = next;
        }
    }
    for (int l = 0; l <= l_max; ++l) {
        for (int m = 0; m <= l; ++m) {
            const V norm = set1(norms[l * (kMaxOrder + 1) + m]);
            const V value = norm * q[l][m];
            const V by_z = l > 0 ? norm * set1(static_cast<double>(l + m)) * q[l - 1][m] : set1(0.0);
            // through x² + y² at fixed z
            const V by_rho2 = l > 0 ? norm * set1(-0.5 * (2 * m + 1)) * q[l - 1][m + 1] : set1(0.0);
            const V tx = set1(2.0) * at.x * by_rho2, ty = set1(2.0) * at.y * by_rho2;
            const V km = set1(static_cast<double>(m));
            const int plus = l * l + l + m, minus = l * l + l - m;
            const V c1 = m > 0 ? cosine[m - 1] : set1(0.0), s1 = m > 0 ? sine[m - 1] : set1(0.0);
            s[plus] = value * cosine[m];
            d.x[plus] = fma(tx, cosine[m], value * km * c1);
            d.y[plus] = fnma(value * km, s1, ty * cosine[m]);
            d.z[plus] = by_z * cosine[m];
            if (m > 0) {
                s[minus] = value * sine[m];
                d.x[minus] = fma(tx, sine[m], value * km * s1);
                d.y[minus] = fma(value * km, c1, ty * sine[m]);
                d.z[minus] = by_z * sine[m];
            }
        }
    }
}

template <bool GRADIENTS>
static void density_of(const PointsJob& job) {
    V s[(kMaxL + 1) * (kMaxL + 1)];
    HarmonicGradients ds;
    for (std::ptrdiff_t i = job.first; i < job.last; i += W) {
        V r[3], value = set1(0.0), gradient[3] = {set1(0.0), set1(0.0), set1(0.0)};
        load_points(job, i, r);
        for (int a = 0; a < job.n_atoms; ++a) {
            const PointsAtom& atom = job.atoms[a];
            const Separation at = separate(r, atom.position);
            int ready = -1;
            for (int g = 0; g < atom.n_groups; ++g) {
                const FormGroup& group = atom.groups[g];
                V sum[2 * kMaxL + 1], slope[2 * kMaxL + 1];
                if (!contract_any<GRADIENTS>(group, atom.coefficients, at, sum, slope)) continue;
                if (ready < 0) {
                    ready = atom.l_max;
                    if (GRADIENTS) {
                        harmonics_with_gradients(atom.l_max, at, s, ds);
                    } else {
                        harmonics_at(atom.l_max, at.x, at.y, at.z, at.r2, s);
                    }
                }
                const int first = group.l * group.l;
                V radial = set1(0.0);
                for (int m = 0; m < 2 * group.l + 1; ++m) {
                    value = fma(sum[m], s[first + m], value);
                    if (GRADIENTS) {
                        radial = fma(slope[m], s[first + m], radial);
                        gradient[0] = fma(sum[m], ds.x[first + m], gradient[0]);
                        gradient[1] = fma(sum[m], ds.y[first + m], gradient[1]);
                        gradient[2] = fma(sum[m], ds.z[first + m], gradient[2]);
                    }
                }
                if (GRADIENTS) {
                    gradient[0] = fma(radial, at.x, gradient[0]);
                    gradient[1] = fma(radial, at.y, gradient[1]);
                    gradient[2] = fma(radial, at.z, gradient[2]);
                }
            }
        }
        const int count = job.last - i < W ? static_cast<int>(job.last - i) : W;
        store_first(job.values + i, value, count);
        if (GRADIENTS) {
            for (int lane = 0; lane < count; ++lane) {
                for (int axis = 0; axis < 3; ++axis) {
                    job.gradients[3 * (i + lane) + axis] = gradient[axis][lane];
                }
            }
        }
    }
}

static void density(const PointsJob& job) {
    if (job.gradients != nullptr) {
        density_of<true>(job);
    } else {
        density_of<false>(job);
    }
}

// The radial part of a primitive is 2 √(a/π) (2a)^l u F_l(a r²), far away u (2l - 1)!! / r^{2l+1}; a
// group that is distant as a whole acts through its multipoles.
static void potential(const PointsJob& job) {
    V s[(kMaxL + 1) * (kMaxL + 1)];
    for (std::ptrdiff_t i = job.first; i < job.last; i += W) {
        V r[3], value = set1(0.0);
        load_points(job, i, r);
        for (int a = 0; a < job.n_atoms; ++a) {
            const PointsAtom& atom = job.atoms[a];
            const Separation at = separate(r, atom.position);
            const V inverse = set1(1.0) / max(sqrt(at.r2), set1(1e-150));
            harmonics_at(atom.l_max, at.x, at.y, at.z, at.r2, s);
            int multipole = 0;
            for (int g = 0; g < atom.n_groups; ++g) {
                const FormGroup& group = atom.groups[g];
                const int n = 2 * group.l + 1;
                const Coupling& point = coupling(group.l, 0);
                const V limit = set1(point.coulomb_limit);
                V far = set1(double_factorial(group.l));
                for (int k = 0; k < n; ++k) far = far * inverse;
                if (group.smallest * at.nearest > point.coulomb_limit) {
                    V total = set1(0.0);
                    for (int m = 0; m < n; ++m) {
                        total = fma(set1(atom.multipoles[multipole + m]), s[group.l * group.l + m], total);
                    }
                    value = fma(total, far, value);
                } else {
                    const double* rows = boys_table().rows[group.l];
                    for (int k = 0; k < group.n_primitives; ++k) {
                        const V t = set1(group.exponents[k]) * at.r2;
                        const V near = set1(group.potential[k]) * boys(rows, min(t, limit));
                        const V radial = select(less(t, limit), near, set1(group.reduced[k]) * far);
                        const double* c = atom.coefficients + group.first_function + group.shell[k] * n;
                        V total = set1(0.0);
                        for (int m = 0; m < n; ++m) {
                            total = fma(set1(c[m]), s[group.l * group.l + m], total);
                        }
                        value = fma(total, radial, value);
                    }
                }
                multipole += n;
            }
        }
        const int count = job.last - i < W ? static_cast<int>(job.last - i) : W;
        store_first(job.values + i, value, count);
    }
}

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

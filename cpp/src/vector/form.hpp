// M c, cᵀM c and its gradients for W atom pairs at once, in the frame whose z axis joins the atoms.
//
// There every block is diagonal in m, so a pair of shells costs a few fused multiply-adds instead of
// (2 l_a + 1)(2 l_b + 1) matrix elements. The derivative along the axis comes from the slope
// polynomials, the derivatives across it from the torque on M c, those with respect to exponents from
// the slope again, because the integrals depend on p and R only through a power of p and T = pR².
#pragma once

#include "radial.hpp"
#include "turns.hpp"

namespace densnet {
namespace DENSNET_NAMESPACE {

// One of the two atoms: everything as [function][lane] in the frame of the pair.
struct Side {
    int n_groups;
    const FormGroup* groups;
    V* c;          // coefficients
    V* y;          // M c
    V* q;          // multipoles of each group, 2 l + 1 values a group
    V* v;          // potential on them
    V* energy;     // of each primitive of the atom
    V* slope;
    int first_primitive;
};

static void load_side(const FormChunk& chunk, const double* const* c, int n_functions,
                      const Turns& turns, Side& side) {
    double* flat = reinterpret_cast<double*>(side.c);
    for (int f = 0; f < n_functions; f += W) {
        const int count = n_functions - f < W ? n_functions - f : W;
        V tile[W];
        for (int lane = 0; lane < W; ++lane) {
            const int source = lane < chunk.n_pairs ? lane : chunk.n_pairs - 1;
            tile[lane] = lane >= chunk.n_pairs ? set1(0.0)
                         : count == W          ? load(c[source] + f)
                                               : load_first(c[source] + f, count);
        }
        transpose(tile);
        for (int i = 0; i < count; ++i) store(flat + W * (f + i), tile[i]);
    }
    int q = 0;
    for (int g = 0; g < side.n_groups; ++g) {
        const FormGroup& group = side.groups[g];
        const int n = 2 * group.l + 1;
        for (int m = 0; m < n; ++m) side.q[q + m] = side.v[q + m] = set1(0.0);
        for (int s = 0; s < group.n_shells; ++s) {
            V* shell = side.c + group.first_function + s * n;
            V ordered[2 * kMaxL + 1];
            for (int i = 0; i < n; ++i) ordered[i] = shell[place_of_m(group.l, i)];
            into_frame(group.l, turns, ordered);
            const V moment = set1(group.moment[s]);
            for (int i = 0; i < n; ++i) {
                shell[i] = ordered[i];
                side.q[q + i] = fma(moment, ordered[i], side.q[q + i]);
            }
        }
        q += n;
    }
    for (int f = 0; f < n_functions; ++f) side.y[f] = set1(0.0);
}

// Add the potential on the multipoles to M c; its share of the energy goes to the primitives.
static void spread_potential(Side& side, bool gradients) {
    int q = 0;
    for (int g = 0; g < side.n_groups; ++g) {
        const FormGroup& group = side.groups[g];
        const int n = 2 * group.l + 1;
        for (int s = 0; s < group.n_shells; ++s) {
            const V moment = set1(group.moment[s]);
            V* y = side.y + group.first_function + s * n;
            for (int i = 0; i < n; ++i) y[i] = fma(moment, side.v[q + i], y[i]);
        }
        if (gradients) {
            for (int k = 0; k < group.n_primitives; ++k) {
                const V* c = side.c + group.first_function + group.shell[k] * n;
                V energy = set1(0.0);
                for (int i = 0; i < n; ++i) energy = fma(c[i], side.v[q + i], energy);
                V* total = side.energy + group.first_primitive - side.first_primitive + k;
                *total = fma(set1(group.reduced[k]), energy, *total);
            }
        }
        q += n;
    }
}

// Turn M c back into the laboratory frame and add it to the result of every pair.
static void store_side(const FormChunk& chunk, double* const* y, int n_functions, const Turns& turns,
                       Side& side) {
    for (int g = 0; g < side.n_groups; ++g) {
        const FormGroup& group = side.groups[g];
        const int n = 2 * group.l + 1;
        for (int s = 0; s < group.n_shells; ++s) {
            V* shell = side.y + group.first_function + s * n;
            V ordered[2 * kMaxL + 1];
            for (int i = 0; i < n; ++i) ordered[i] = shell[i];
            out_of_frame(group.l, turns, ordered);
            for (int i = 0; i < n; ++i) shell[place_of_m(group.l, i)] = ordered[i];
        }
    }
    const double* flat = reinterpret_cast<const double*>(side.y);
    for (int f = 0; f < n_functions; f += W) {
        const int count = n_functions - f < W ? n_functions - f : W;
        V tile[W];
        for (int i = 0; i < W; ++i) tile[i] = i < count ? load(flat + W * (f + i)) : set1(0.0);
        transpose(tile);
        for (int lane = 0; lane < chunk.n_pairs; ++lane) {
            double* target = y[lane] + f;
            if (count == W) {
                store(target, load(target) + tile[lane]);
            } else {
                store_first(target, load_first(target, count) + tile[lane], count);
            }
        }
    }
}

// One m of one pair of shells (or of multipoles), ±m together.
DENSNET_INLINE V exchange_m(int m, V matrix, int l_a, int l_b, const V* c_a, const V* c_b, V* y_a,
                            V* y_b) {
    y_a[l_a + m] = fma(matrix, c_b[l_b + m], y_a[l_a + m]);
    y_b[l_b + m] = fma(matrix, c_a[l_a + m], y_b[l_b + m]);
    V product = c_a[l_a + m] * c_b[l_b + m];
    if (m > 0) {
        y_a[l_a - m] = fma(matrix, c_b[l_b - m], y_a[l_a - m]);
        y_b[l_b - m] = fma(matrix, c_a[l_a - m], y_b[l_b - m]);
        product = fma(c_a[l_a - m], c_b[l_b - m], product);
    }
    return product;
}

// All pairs of primitives of two groups. Returns Σ c_a R ∂M/∂R c_b.
template <int N, bool COULOMB, bool GRADIENTS>
static V near_groups(const FormGroup& a, const FormGroup& b, const FormRadial& radial, Side& left,
                     Side& right, V r2, V power, V far_power) {
    const Coupling& coupling = *radial.coupling;
    const V limit = set1(COULOMB ? coupling.coulomb_limit : coupling.overlap_limit);
    const double* rows = boys_table().rows[coupling.l_high];
    const int n_a = 2 * a.l + 1, n_b = 2 * b.l + 1;
    const double scale = (COULOMB ? 0.5 : 1.5) + 0.5 * (a.l + b.l);
    V total = set1(0.0);
    for (int i = 0; i < a.n_primitives; ++i) {
        const V* c_a = left.c + a.first_function + a.shell[i] * n_a;
        V* y_a = left.y + a.first_function + a.shell[i] * n_a;
        V y[2 * kMaxL + 1];
        for (int m = 0; m < n_a; ++m) y[m] = y_a[m];
        V energy_a = set1(0.0), slope_a = set1(0.0);
        for (int j = 0; j < b.n_primitives; ++j) {
            const double p = radial.p[i * b.n_primitives + j];
            const V t = set1(p) * r2;
            const M near = less(t, limit);
            const bool some = any(near);
            if (!COULOMB && !some) continue;
            const V* c_b = right.c + b.first_function + b.shell[j] * n_b;
            V* y_b = right.y + b.first_function + b.shell[j] * n_b;
            V energy = set1(0.0), slope = set1(0.0);
            if (COULOMB && !some) {
                const V size = set1(a.reduced[i] * b.reduced[j]) * far_power;
                for (int m = 0; m <= N; ++m) {
                    const V matrix = size * set1(coupling.far[m]);
                    const V product = exchange_m(m, matrix, a.l, b.l, c_a, c_b, y, y_b);
                    if (GRADIENTS) energy = fma(matrix, product, energy);
                }
                slope = energy * set1(-(coupling.l_high + 1.0));
            } else {
                const V size = set1(radial.c[i * b.n_primitives + j]) * power;
                const V e = size * exponential(set1(0.0) - t);
                V top = set1(0.0), distant = set1(0.0);
                if (COULOMB) {
                    top = size * boys(rows, min(t, limit));
                    for (int k = 0; k < N; ++k) top = top * t;
                    distant = set1(a.reduced[i] * b.reduced[j]) * far_power;
                }
#pragma GCC unroll 8
                for (int m = 0; m <= N; ++m) {
                    V matrix;
                    if (COULOMB) {
                        matrix = top * set1(coupling.top[m]);
                        if (N > 0) matrix = fma(e, horner(coupling.coulomb_axial[m], N - 1, t), matrix);
                        matrix = select(near, matrix, distant * set1(coupling.far[m]));
                    } else {
                        matrix = e * horner(coupling.overlap_axial[m], N, t);
                    }
                    const V product = exchange_m(m, matrix, a.l, b.l, c_a, c_b, y, y_b);
                    if (GRADIENTS) {
                        energy = fma(matrix, product, energy);
                        V derivative;
                        if (COULOMB) {
                            const V last = top * set1(-(coupling.l_high + 1.0) * coupling.top[m]);
                            derivative = fma(e, horner(coupling.coulomb_slope[m], N, t), last);
                            derivative = select(near, derivative,
                                                matrix * set1(-(coupling.l_high + 1.0)));
                        } else {
                            derivative = e * horner(coupling.overlap_slope[m], N + 1, t);
                        }
                        slope = fma(derivative, product, slope);
                    }
                }
            }
            if (GRADIENTS) {
                total = total + slope;
                const V through_p = set1(p) * fma(set1(scale), energy, set1(0.5) * slope);
                const double x = a.exponents[i], z = b.exponents[j];
                energy_a = energy_a + energy;
                slope_a = fma(set1(1.0 / (x * x)), through_p, slope_a);
                V* energy_b = right.energy + b.first_primitive - right.first_primitive + j;
                V* slope_b = right.slope + b.first_primitive - right.first_primitive + j;
                *energy_b = *energy_b + energy;
                *slope_b = fma(set1(1.0 / (z * z)), through_p, *slope_b);
            }
        }
        for (int m = 0; m < n_a; ++m) y_a[m] = y[m];
        if (GRADIENTS) {
            V* energy = left.energy + a.first_primitive - left.first_primitive + i;
            V* slope = left.slope + a.first_primitive - left.first_primitive + i;
            *energy = *energy + energy_a;
            *slope = *slope + slope_a;
        }
    }
    return total;
}

// The multipoles of two groups. Returns Σ q_a R ∂M/∂R q_b.
static V far_groups(const Coupling& coupling, const V* q_a, const V* q_b, V* v_a, V* v_b,
                    V far_power) {
    V energy = set1(0.0);
    for (int m = 0; m <= coupling.n; ++m) {
        const V matrix = far_power * set1(coupling.far[m]);
        const V product = exchange_m(m, matrix, coupling.l_a, coupling.l_b, q_a, q_b, v_a, v_b);
        energy = fma(matrix, product, energy);
    }
    return energy * set1(-(coupling.l_high + 1.0));
}

template <bool COULOMB, bool GRADIENTS>
static V near_groups_of(const FormGroup& a, const FormGroup& b, const FormRadial& radial, Side& left,
                        Side& right, V r2, V power, V far_power) {
    switch (radial.coupling->n) {
#define DENSNET_CASE(N) \
    case N: \
        return near_groups<N, COULOMB, GRADIENTS>(a, b, radial, left, right, r2, power, far_power)
        DENSNET_CASE(0);
        DENSNET_CASE(1);
        DENSNET_CASE(2);
        DENSNET_CASE(3);
        DENSNET_CASE(4);
        DENSNET_CASE(5);
        default:
            return near_groups<6, COULOMB, GRADIENTS>(a, b, radial, left, right, r2, power, far_power);
#undef DENSNET_CASE
    }
}

static V near_groups_any(const FormChunk& chunk, const FormGroup& a, const FormGroup& b,
                         const FormRadial& radial, Side& left, Side& right, V r2, V power,
                         V far_power) {
    if (chunk.coulomb) {
        if (chunk.gradients) {
            return near_groups_of<true, true>(a, b, radial, left, right, r2, power, far_power);
        }
        return near_groups_of<true, false>(a, b, radial, left, right, r2, power, far_power);
    }
    if (chunk.gradients) {
        return near_groups_of<false, true>(a, b, radial, left, right, r2, power, far_power);
    }
    return near_groups_of<false, false>(a, b, radial, left, right, r2, power, far_power);
}

// Σ_shells cᵀ Λ y of one side, for turns about x and about y.
static void add_torque(const Side& side, V& about_x, V& about_y) {
    for (int g = 0; g < side.n_groups; ++g) {
        const FormGroup& group = side.groups[g];
        if (group.l == 0) continue;
        const Rotation& constant = rotation(group.l);
        const int n = 2 * group.l + 1;
        for (int s = 0; s < group.n_shells; ++s) {
            const V* c = side.c + group.first_function + s * n;
            const V* y = side.y + group.first_function + s * n;
            V turned[2 * kMaxL + 1];
            multiply(constant.turn_x, n, y, turned);
            for (int i = 0; i < n; ++i) about_x = fma(c[i], turned[i], about_x);
            multiply(constant.turn_y, n, y, turned);
            for (int i = 0; i < n; ++i) about_y = fma(c[i], turned[i], about_y);
        }
    }
}

// Add twice the sum over lanes of energies and slopes to the totals of the basis.
static void store_exponent_sums(const FormChunk& chunk, const Side& side, int n_primitives) {
    for (int k = 0; k < n_primitives; ++k) {
        chunk.energy_of[side.first_primitive + k] += 2.0 * sum(side.energy[k]);
        chunk.slope_of[side.first_primitive + k] += 2.0 * sum(side.slope[k]);
    }
}

static int count_primitives(const Side& side) {
    int n = 0;
    for (int g = 0; g < side.n_groups; ++g) n += side.groups[g].n_primitives;
    return n;
}

static V* take(V*& scratch, int n) {
    V* result = scratch;
    scratch += n;
    return result;
}

static Side make_side(V*& scratch, int n_groups, const FormGroup* groups, int n_functions) {
    constexpr int n_multipoles = (kMaxL + 1) * (kMaxL + 1);
    Side side;
    side.n_groups = n_groups;
    side.groups = groups;
    side.first_primitive = groups[0].first_primitive;
    side.c = take(scratch, n_functions);
    side.y = take(scratch, n_functions);
    int multipoles = 0;
    for (int g = 0; g < n_groups; ++g) multipoles += 2 * groups[g].l + 1;
    side.q = take(scratch, multipoles > n_multipoles ? multipoles : n_multipoles);
    side.v = take(scratch, multipoles > n_multipoles ? multipoles : n_multipoles);
    const int n_primitives = count_primitives(side);
    side.energy = take(scratch, n_primitives);
    side.slope = take(scratch, n_primitives);
    for (int k = 0; k < n_primitives; ++k) side.energy[k] = side.slope[k] = set1(0.0);
    return side;
}

static void form(const FormChunk& chunk) {
    const V x = load(chunk.vectors[0]), y = load(chunk.vectors[1]), z = load(chunk.vectors[2]);
    const V zero = set1(0.0), one = set1(1.0), tiny = set1(1e-150);
    const V rho2 = fma(x, x, y * y), r2 = fma(z, z, rho2);
    const V rho = sqrt(rho2), r = sqrt(r2);
    const M flat = less(tiny, rho), apart = less(tiny, r);
    const V inverse_rho = one / select(flat, rho, one), inverse_r = one / select(apart, r, one);
    const V cos_phi = select(flat, x * inverse_rho, one), sin_phi = select(flat, y * inverse_rho, zero);
    const V cos_theta = select(apart, z * inverse_r, one), sin_theta = select(apart, rho * inverse_r, zero);
    Turns turns;
    multiples(cos_phi, sin_phi, turns.cosine[0], turns.sine[0]);
    multiples(cos_theta, sin_theta, turns.cosine[1], turns.sine[1]);

    V* scratch = reinterpret_cast<V*>(chunk.scratch);
    Side left = make_side(scratch, chunk.n_groups_a, chunk.groups_a, chunk.n_functions_a);
    Side right = make_side(scratch, chunk.n_groups_b, chunk.groups_b, chunk.n_functions_b);
    load_side(chunk, chunk.c_a, chunk.n_functions_a, turns, left);
    load_side(chunk, chunk.c_b, chunk.n_functions_b, turns, right);

    V powers[kMaxOrder + 2], inverse_powers[kMaxOrder + 2];
    powers[0] = inverse_powers[0] = one;
    for (int k = 1; k < kMaxOrder + 2; ++k) {
        powers[k] = powers[k - 1] * r;
        inverse_powers[k] = inverse_powers[k - 1] * inverse_r;
    }
    double nearest = 1e300;
    for (int lane = 0; lane < chunk.n_pairs; ++lane) nearest = r2[lane] < nearest ? r2[lane] : nearest;

    V along = zero;
    int q_a = 0;
    for (int g = 0; g < chunk.n_groups_a; ++g) {
        int q_b = 0;
        for (int h = 0; h < chunk.n_groups_b; ++h) {
            const FormGroup &a = chunk.groups_a[g], &b = chunk.groups_b[h];
            const FormRadial& radial = chunk.radial[g * chunk.n_groups_b + h];
            const Coupling& coupling = *radial.coupling;
            const V far_power = inverse_powers[coupling.l_high + 1];
            if (chunk.coulomb &&
                radial.smallest_p * nearest > coupling.coulomb_limit) {
                along = along + far_groups(coupling, left.q + q_a, right.q + q_b, left.v + q_a,
                                           right.v + q_b, far_power);
            } else if (chunk.coulomb || radial.smallest_p * nearest < coupling.overlap_limit) {
                along = along + near_groups_any(chunk, a, b, radial, left, right, r2,
                                                powers[coupling.l_low], far_power);
            }
            q_b += 2 * b.l + 1;
        }
        q_a += 2 * chunk.groups_a[g].l + 1;
    }
    if (chunk.coulomb) {
        spread_potential(left, chunk.gradients);
        spread_potential(right, chunk.gradients);
    }
    if (chunk.gradients) {
        V about_x = zero, about_y = zero;
        add_torque(left, about_x, about_y);
        add_torque(right, about_x, about_y);
        const V unit = set1(2.0) * select(apart, inverse_r, zero);
        const V g_x = unit * about_y, g_y = (zero - unit) * about_x, g_z = unit * along;
        const V in_plane = fma(cos_theta, g_x, sin_theta * g_z);
        const V lab[3] = {fma(cos_phi, in_plane, (zero - sin_phi) * g_y),
                          fma(sin_phi, in_plane, cos_phi * g_y),
                          fnma(sin_theta, g_x, cos_theta * g_z)};
        for (int lane = 0; lane < chunk.n_pairs; ++lane) {
            for (int axis = 0; axis < 3; ++axis) {
                chunk.gradient_a[lane][axis] += lab[axis][lane];
                chunk.gradient_b[lane][axis] -= lab[axis][lane];
            }
        }
        store_exponent_sums(chunk, left, count_primitives(left));
        store_exponent_sums(chunk, right, count_primitives(right));
    }
    store_side(chunk, chunk.y_a, chunk.n_functions_a, turns, left);
    store_side(chunk, chunk.y_b, chunk.n_functions_b, turns, right);
}

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

// The radial factors f_k of all pairs of primitives of two groups at one distance.
#pragma once

#include "simd.hpp"

namespace densnet {
namespace DENSNET_NAMESPACE {

// F_n(T) for 0 ≤ T ≤ the largest T of the table.
DENSNET_INLINE V boys(const double* rows, V t) {
    const V row = round(t * set1(kBoysRowsPerUnit));
    const V x = fnma(row, set1(1.0 / kBoysRowsPerUnit), t);
    V c[8];
    gather8(rows, row, c);
    V value = c[7];
    for (int k = 6; k >= 0; --k) value = fma(value, x, c[k]);
    return value;
}

DENSNET_INLINE V horner(const double* polynomial, int degree, V t) {
    V value = set1(polynomial[degree]);
    for (int d = degree - 1; d >= 0; --d) value = fma(value, t, set1(polynomial[d]));
    return value;
}

template <int N>
static void radial_overlap_of(const RadialView& pairs, double squared_distance, double* f) {
    const Coupling& coupling = *pairs.coupling;
    const V r2 = set1(squared_distance), limit = set1(coupling.overlap_limit);
    for (int i = 0; i < pairs.n_padded; i += W) {
        const V p = load(pairs.p + i), t = p * r2;
        if (!any(less(t, limit))) {
            for (int k = 0; k <= N; ++k) store(f + k * pairs.n_padded + i, set1(0.0));
            continue;
        }
        V factor = load(pairs.c + i) * exponential(set1(0.0) - t);
#pragma GCC unroll 8
        for (int k = 0; k <= N; ++k) {
            store(f + k * pairs.n_padded + i, factor * horner(coupling.overlap_radial[k], N - k, t));
            factor = (set1(0.0) - p) * factor;
        }
    }
}

template <int N>
static void radial_coulomb_of(const RadialView& pairs, double squared_distance, double far_factor,
                              double* f) {
    const Coupling& coupling = *pairs.coupling;
    const V r2 = set1(squared_distance), limit = set1(coupling.coulomb_limit);
    const V far = set1(far_factor);
    const double* rows = boys_table().rows[coupling.l_high];
    for (int i = 0; i < pairs.n_padded; i += W) {
        const V p = load(pairs.p + i), t = p * r2;
        const M near = less(t, limit);
        const V distant = load(pairs.w + i) * far;
        if (!any(near)) {
            for (int k = 0; k < N; ++k) store(f + k * pairs.n_padded + i, set1(0.0));
            store(f + N * pairs.n_padded + i, distant);
            continue;
        }
        V power = load(pairs.c + i);
        if (N > 0) {
            const V e = select(near, exponential(set1(0.0) - t), set1(0.0));
#pragma GCC unroll 8
            for (int k = 0; k < N; ++k) {
                const V polynomial = horner(coupling.coulomb_radial[k], N - k - 1, t);
                store(f + k * pairs.n_padded + i, power * e * polynomial);
                power = (set1(0.0) - p) * power;
            }
        }
        const V top = set1(2.0) * power * boys(rows, min(t, limit));
        store(f + N * pairs.n_padded + i, select(near, top, distant));
    }
}

static void radial_overlap(const RadialView& pairs, double squared_distance, double* f) {
    switch (pairs.coupling->n) {
        case 0: return radial_overlap_of<0>(pairs, squared_distance, f);
        case 1: return radial_overlap_of<1>(pairs, squared_distance, f);
        case 2: return radial_overlap_of<2>(pairs, squared_distance, f);
        case 3: return radial_overlap_of<3>(pairs, squared_distance, f);
        case 4: return radial_overlap_of<4>(pairs, squared_distance, f);
        case 5: return radial_overlap_of<5>(pairs, squared_distance, f);
        default: return radial_overlap_of<6>(pairs, squared_distance, f);
    }
}

static void radial_coulomb(const RadialView& pairs, double squared_distance, double far_factor,
                           double* f) {
    switch (pairs.coupling->n) {
        case 0: return radial_coulomb_of<0>(pairs, squared_distance, far_factor, f);
        case 1: return radial_coulomb_of<1>(pairs, squared_distance, far_factor, f);
        case 2: return radial_coulomb_of<2>(pairs, squared_distance, far_factor, f);
        case 3: return radial_coulomb_of<3>(pairs, squared_distance, far_factor, f);
        case 4: return radial_coulomb_of<4>(pairs, squared_distance, far_factor, f);
        case 5: return radial_coulomb_of<5>(pairs, squared_distance, far_factor, f);
        default: return radial_coulomb_of<6>(pairs, squared_distance, far_factor, f);
    }
}

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

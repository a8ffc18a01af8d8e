// Solid harmonics of W vectors at once, and their coupled products G_k.
#pragma once

#include "simd.hpp"

namespace densnet {
namespace DENSNET_NAMESPACE {

// s[l² + l + m] for all l ≤ l_max.
DENSNET_INLINE void harmonics_at(int l_max, V x, V y, V z, V r2, V* s) {
    const double* norms = harmonic_norms();
    V cosine = set1(1.0), sine = set1(0.0);
    for (int m = 0; m <= l_max; ++m) {
        // Legendre polynomials by upward recursion in l, in units where they start from 1
        V previous = set1(0.0), current = set1(1.0);
        for (int l = m; l <= l_max; ++l) {
            const V value = set1(norms[l * (kMaxOrder + 1) + m]) * current;
            s[l * l + l + m] = value * cosine;
            if (m > 0) s[l * l + l - m] = value * sine;
            const V next = fnma(set1(static_cast<double>(l + m)) * r2, previous,
                                set1(static_cast<double>(2 * l + 1)) * z * current) *
                           set1(1.0 / (l + 1 - m));
            previous = current;
            current = next;
        }
        const V c = fnma(y, sine, x * cosine);
        sine = fma(x, sine, y * cosine);
        cosine = c;
    }
}

static void solid_harmonics(int l_max, const double* xs, const double* ys, const double* zs,
                            double* out) {
    const V x = load(xs), y = load(ys), z = load(zs);
    V s[(kMaxOrder + 1) * (kMaxOrder + 1)];
    harmonics_at(l_max, x, y, z, fma(x, x, fma(y, y, z * z)), s);
    for (int i = 0; i < (l_max + 1) * (l_max + 1); ++i) store(out + W * i, s[i]);
}

// (2l - 1)!! S_lm(R) / R^{2l+1} from the S_lm of the direction and 1/R; powers vanish before they
// overflow.
DENSNET_INLINE void make_irregular(int l_max, V inverse, V* s) {
    V factor = inverse;
    for (int l = 0; l <= l_max; ++l) {
        for (int i = l * l; i < (l + 1) * (l + 1); ++i) s[i] = s[i] * factor;
        factor = factor * set1(2 * l + 1.0) * inverse;
    }
}

static void irregular_harmonics(int l_max, const double* xs, const double* ys, const double* zs,
                                double* out) {
    const V x = load(xs), y = load(ys), z = load(zs);
    const V inverse = set1(1.0) / sqrt(fma(x, x, fma(y, y, z * z)));
    V s[(kMaxOrder + 1) * (kMaxOrder + 1)];
    harmonics_at(l_max, x * inverse, y * inverse, z * inverse, set1(1.0), s);
    make_irregular(l_max, inverse, s);
    for (int i = 0; i < (l_max + 1) * (l_max + 1); ++i) store(out + W * i, s[i]);
}

static void couple(const Coupling& coupling, int first_k, const double* harmonics, double* out,
                   std::ptrdiff_t stride) {
    const int first = first_k * (2 * coupling.l_a + 1) * (2 * coupling.l_b + 1);
    out -= first;
    for (int e = first; e < coupling.n_entries; e += W) {
        V tile[W];
        for (int i = 0; i < W; ++i) {
            const int* harmonic = coupling.harmonic[e + i];
            const double* value = coupling.value[e + i];
            tile[i] = fma(set1(value[0]), load(harmonics + W * harmonic[0]),
                          set1(value[1]) * load(harmonics + W * harmonic[1]));
        }
        transpose(tile);
        const int count = coupling.n_entries - e;
        for (int lane = 0; lane < W; ++lane) {
            if (count >= W) {
                store(out + lane * stride + e, tile[lane]);
            } else {
                store_first(out + lane * stride + e, tile[lane], count);
            }
        }
    }
}

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

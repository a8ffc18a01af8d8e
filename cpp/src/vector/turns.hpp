// Rotations of real solid harmonics, and the generators of them, for W vectors of coefficients.
#pragma once

#include "simd.hpp"

namespace densnet {
namespace DENSNET_NAMESPACE {

// cos mφ and sin mφ of the two turns that take A - B to the z axis.
struct Turns {
    V cosine[2][kMaxL + 1];
    V sine[2][kMaxL + 1];
};

DENSNET_INLINE void multiples(V c, V s, V* cosine, V* sine) {
    cosine[0] = set1(1.0);
    sine[0] = set1(0.0);
    for (int m = 1; m <= kMaxL; ++m) {
        cosine[m] = fnma(s, sine[m - 1], c * cosine[m - 1]);
        sine[m] = fma(s, cosine[m - 1], c * sine[m - 1]);
    }
}

DENSNET_INLINE void turn(int l, const V* cosine, const V* sine, double sign, V* v) {
    for (int m = 1; m <= l; ++m) {
        const V s = set1(sign) * sine[m], plus = v[l + m], minus = v[l - m];
        v[l + m] = fma(cosine[m], plus, s * minus);
        v[l - m] = fnma(s, plus, cosine[m] * minus);
    }
}

DENSNET_INLINE void multiply(const SparseMatrix& matrix, int n, const V* v, V* result) {
    for (int i = 0; i < n; ++i) {
        V total = set1(0.0);
        for (int t = matrix.first[i]; t < matrix.first[i + 1]; ++t) {
            total = fma(set1(matrix.value[t]), v[matrix.column[t]], total);
        }
        result[i] = total;
    }
}

// v (m = -l … l) into the frame of the pair, D v with D = Cᵀ Z(θ) C Z(φ), and back, Dᵀ v.
static void into_frame(int l, const Turns& turns, V* v) {
    if (l == 0) return;
    const Rotation& constant = rotation(l);
    V w[2 * kMaxL + 1];
    turn(l, turns.cosine[0], turns.sine[0], 1.0, v);
    multiply(constant.exchange, 2 * l + 1, v, w);
    turn(l, turns.cosine[1], turns.sine[1], 1.0, w);
    multiply(constant.exchange_transpose, 2 * l + 1, w, v);
}

static void out_of_frame(int l, const Turns& turns, V* v) {
    if (l == 0) return;
    const Rotation& constant = rotation(l);
    V w[2 * kMaxL + 1];
    multiply(constant.exchange, 2 * l + 1, v, w);
    turn(l, turns.cosine[1], turns.sine[1], -1.0, w);
    multiply(constant.exchange_transpose, 2 * l + 1, w, v);
    turn(l, turns.cosine[0], turns.sine[0], -1.0, v);
}

// Place of m = -l … l in the coefficient order: p is x, y, z.
DENSNET_INLINE int place_of_m(int l, int i) {
    return l == 1 ? (i == 0 ? 1 : i == 1 ? 2 : 0) : i;
}

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

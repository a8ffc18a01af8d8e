// Products of three functions on the sphere. Evaluation and projection use the reflections in the
// coordinate planes: harmonics of one parity are summed at one point of an orbit, and a butterfly
// (2, 4 or 8 values) makes of the parities the values on all its points.
#pragma once

#include "simd.hpp"

namespace densnet {
namespace engine {
namespace DENSNET_NAMESPACE {

// Under which of the reflections x → −x (1), y → −y (2), z → −z (4) a harmonic changes its sign.
constexpr int parity_of(int h) {
    const int l = l_of(h), m = h - l * l - l, k = m < 0 ? -m : m;
    const int odd_x = m < 0 ? (k + 1) % 2 : k % 2;
    return odd_x + (m < 0 ? 2 : 0) + 4 * ((l - k) % 2);
}

struct ParityTable {
    int of[kMaxHarmonics];
};
constexpr ParityTable parity_table() {
    ParityTable table{};
    for (int h = 0; h < kMaxHarmonics; ++h) table.of[h] = parity_of(h);
    return table;
}
constexpr ParityTable kParity = parity_table();

// Highest degrees: known to the compiler, or (Any) not.
template <int L_IN, int L_TRIPLE, int L_PAIR>
struct Fixed {
    static constexpr int in = L_IN, triple = L_TRIPLE, pair = L_PAIR;
};
using Any = Fixed<-1, -1, -1>;

constexpr int size_of(int l) { return harmonics_up_to(l < 0 ? kMaxL : l); }

// Points of an orbit are numbered 0 … 7; point p has negative coordinates where p has bits, and is one
// of the orbit if it has them only where the coordinate is not zero. Loops over constants like these
// are unrolled, and what they skip costs nothing.
template <int MASK>
constexpr bool in_orbit(int p) {
    return (p & ~MASK) == 0;
}

template <int MASK, typename V>
DENSNET_INLINE void butterfly(V* v) {
#pragma GCC unroll 3
    for (int axis = 0; axis < 3; ++axis) {
        const int bit = 1 << axis;
#pragma GCC unroll 8
        for (int p = 0; p < 8; ++p) {
            if (in_orbit<MASK>(bit) && in_orbit<MASK>(p) && !(p & bit)) {
                const V even = v[p], odd = v[p | bit];
                v[p] = even + odd;
                v[p | bit] = even - odd;
            }
        }
    }
}

// v[p] = Σ_h f_h Y_h at point p.
template <typename T, int L, int MASK, typename V>
DENSNET_INLINE void evaluate(const V* f, int l_max, const T* y, V* v) {
#pragma GCC unroll 8
    for (int p = 0; p < 8; ++p) v[p] = V{};
    const int n = harmonics_up_to(L < 0 ? l_max : L);
    if (L < 0) {
        for (int h = 0; h < n; ++h) {
            if (in_orbit<MASK>(kParity.of[h])) v[kParity.of[h]] += set1(y[h]) * f[h];
        }
    } else {
#pragma GCC unroll 25
        for (int h = 0; h < n; ++h) {
            if (in_orbit<MASK>(kParity.of[h])) v[kParity.of[h]] += set1(y[h]) * f[h];
        }
    }
    butterfly<MASK>(v);
}

// f_h += Σ_p Y_h v[p]; v is destroyed.
template <typename T, int L, int MASK, typename V>
DENSNET_INLINE void project(V* v, int l_max, const T* y, V* f) {
    if (L == 0) {
        V total = V{};
#pragma GCC unroll 8
        for (int p = 0; p < 8; ++p) {
            if (in_orbit<MASK>(p)) total += v[p];
        }
        f[0] += set1(y[0]) * total;
        return;
    }
    butterfly<MASK>(v);
    const int n = harmonics_up_to(L < 0 ? l_max : L);
    if (L < 0) {
        for (int h = 0; h < n; ++h) {
            if (in_orbit<MASK>(kParity.of[h])) f[h] += set1(y[h]) * v[kParity.of[h]];
        }
    } else {
#pragma GCC unroll 25
        for (int h = 0; h < n; ++h) {
            if (in_orbit<MASK>(kParity.of[h])) f[h] += set1(y[h]) * v[kParity.of[h]];
        }
    }
}

template <typename F>
DENSNET_INLINE void with_mask(int mask, const F& f) {
    switch (mask) {
        case 1: return f(Index<1>());
        case 2: return f(Index<2>());
        case 3: return f(Index<3>());
        case 4: return f(Index<4>());
        case 5: return f(Index<5>());
        case 6: return f(Index<6>());
        default: return f(Index<7>());
    }
}

// The factors of one atom and one vector of channels, scaled.
template <typename T, typename L>
struct Factors {
    typename Wide<T>::V a[size_of(L::in)], b[size_of(L::in)], c[size_of(L::in)];

    DENSNET_MEMBER void load_from(const ProductJob<T>& job, int atom, int channel, int n_in) {
        const std::ptrdiff_t C = job.n_channels;
        const T* scale = job.scale + 3 * C * job.species[atom] + channel;
        const T* in = job.factors + 3 * C * atom + channel;
        const auto scale_a = load(scale), scale_b = load(scale + C), scale_c = load(scale + 2 * C);
        for (int h = 0; h < n_in; ++h, in += job.factors_stride) {
            a[h] = scale_a * load(in);
            b[h] = scale_b * load(in + C);
            c[h] = scale_c * load(in + 2 * C);
        }
    }
};

template <typename T, typename L>
static void product_forward_of(const ProductJob<T>& job) {
    using V = typename Wide<T>::V;
    const int n_in = harmonics_up_to(L::in < 0 ? job.l_in : L::in);
    const int n_triple = harmonics_up_to(L::in < 0 ? job.l_triple : L::triple);
    const int n_pair = harmonics_up_to(L::in < 0 ? job.l_pair : L::pair);
    const std::ptrdiff_t C = job.n_channels;
    for (int atom = 0; atom < job.n_atoms; ++atom) {
        for (int channel = 0; channel < C; channel += Wide<T>::N) {
            Factors<T, L> f;
            f.load_from(job, atom, channel, n_in);
            V pair[size_of(L::pair)], triple[size_of(L::triple)];
            for (int h = 0; h < n_pair; ++h) pair[h] = V{};
            for (int h = 0; h < n_triple; ++h) triple[h] = V{};
            for (int o = 0; o < job.orbits.n_orbits; ++o) {
                const T* y = job.orbits.harmonics + o * kMaxHarmonics;
                const T* wy = job.orbits.weighted + o * kMaxHarmonics;
                with_mask(job.orbits.masks[o], [&](auto mask) DENSNET_LAMBDA {
                    constexpr int MASK = mask.value;
                    V va[8], vb[8], vc[8];
                    evaluate<T, L::in, MASK>(f.a, job.l_in, y, va);
                    evaluate<T, L::in, MASK>(f.b, job.l_in, y, vb);
                    evaluate<T, L::in, MASK>(f.c, job.l_in, y, vc);
#pragma GCC unroll 8
                    for (int p = 0; p < 8; ++p) {
                        if (!in_orbit<MASK>(p)) continue;
                        va[p] *= vb[p];
                        vc[p] *= va[p];
                    }
                    project<T, L::pair, MASK>(va, job.l_pair, wy, pair);
                    project<T, L::triple, MASK>(vc, job.l_triple, wy, triple);
                });
            }
            T* low = job.low + 3 * C * atom + channel;
            for (int h = 0; h < n_triple; ++h, low += job.low_stride) {
                store(low, f.a[h]);
                store(low + C, pair[h]);
                store(low + 2 * C, triple[h]);
            }
            T* high = job.high + 2 * C * atom + channel;
            for (int h = n_triple; h < n_pair; ++h, high += job.high_stride) {
                if (h < n_in) store(high, f.a[h]);
                store(high + C, pair[h]);
            }
        }
    }
}

// With G₂ and G₃ the gradients of a·b and a·b·c on the points, G = G₂ + c G₃:
// da = b G, db = a G, dc = a b G₃.
template <typename T, typename L>
static void product_backward_of(const ProductJob<T>& job) {
    using V = typename Wide<T>::V;
    const int n_in = harmonics_up_to(L::in < 0 ? job.l_in : L::in);
    const int n_triple = harmonics_up_to(L::in < 0 ? job.l_triple : L::triple);
    const int n_pair = harmonics_up_to(L::in < 0 ? job.l_pair : L::pair);
    const std::ptrdiff_t C = job.n_channels;
    for (int atom = 0; atom < job.n_atoms; ++atom) {
        for (int channel = 0; channel < C; channel += Wide<T>::N) {
            Factors<T, L> f, d;
            f.load_from(job, atom, channel, n_in);
            for (int h = 0; h < n_in; ++h) d.a[h] = d.b[h] = d.c[h] = V{};
            V pair[size_of(L::pair)], triple[size_of(L::triple)];
            const T* low = job.low + 3 * C * atom + channel;
            for (int h = 0; h < n_triple; ++h, low += job.low_stride) {
                d.a[h] = load(low);
                pair[h] = load(low + C);
                triple[h] = load(low + 2 * C);
            }
            const T* high = job.high + 2 * C * atom + channel;
            for (int h = n_triple; h < n_pair; ++h, high += job.high_stride) {
                if (h < n_in) d.a[h] = load(high);
                pair[h] = load(high + C);
            }
            for (int o = 0; o < job.orbits.n_orbits; ++o) {
                const T* y = job.orbits.harmonics + o * kMaxHarmonics;
                const T* wy = job.orbits.weighted + o * kMaxHarmonics;
                with_mask(job.orbits.masks[o], [&](auto mask) DENSNET_LAMBDA {
                    constexpr int MASK = mask.value;
                    V va[8], vb[8], vc[8], g2[8], g3[8];
                    evaluate<T, L::triple, MASK>(triple, job.l_triple, wy, g3);
                    evaluate<T, L::in, MASK>(f.c, job.l_in, y, vc);
                    evaluate<T, L::pair, MASK>(pair, job.l_pair, wy, g2);
#pragma GCC unroll 8
                    for (int p = 0; p < 8; ++p) {
                        if (in_orbit<MASK>(p)) g2[p] += vc[p] * g3[p];
                    }
                    evaluate<T, L::in, MASK>(f.a, job.l_in, y, va);
                    evaluate<T, L::in, MASK>(f.b, job.l_in, y, vb);
#pragma GCC unroll 8
                    for (int p = 0; p < 8; ++p) {
                        if (!in_orbit<MASK>(p)) continue;
                        g3[p] *= va[p] * vb[p];
                        vb[p] *= g2[p];
                        va[p] *= g2[p];
                    }
                    project<T, L::in, MASK>(g3, job.l_in, y, d.c);
                    project<T, L::in, MASK>(vb, job.l_in, y, d.a);
                    project<T, L::in, MASK>(va, job.l_in, y, d.b);
                });
            }
            const T* scale = job.scale + 3 * C * job.species[atom] + channel;
            const V scale_a = load(scale), scale_b = load(scale + C), scale_c = load(scale + 2 * C);
            T* out = job.factors_gradient + 3 * C * atom + channel;
            for (int h = 0; h < n_in; ++h, out += job.factors_stride) {
                store(out, scale_a * d.a[h]);
                store(out + C, scale_b * d.b[h]);
                store(out + 2 * C, scale_c * d.c[h]);
            }
        }
    }
}

template <typename T, bool BACKWARD, typename L>
DENSNET_INLINE void product_of(const ProductJob<T>& job) {
    if constexpr (BACKWARD) {
        product_backward_of<T, L>(job);
    } else {
        product_forward_of<T, L>(job);
    }
}

// What usual sizes of a model need is known to the compiler: forward l_density = 4; backward 3, since no
// gradient comes back from above; the functional's layers, and its last, of scalars only, with l_two_body 3 or 2.
template <typename T, bool BACKWARD>
static void product(const ProductJob<T>& job) {
    if constexpr (kMaxL >= 4) {
        const int degrees = 100 * job.l_in + 10 * job.l_triple + job.l_pair;
        if (degrees == (BACKWARD ? 323 : 324)) {
            return product_of<T, BACKWARD, Fixed<3, 2, BACKWARD ? 3 : 4>>(job);
        }
        if (degrees == 322) return product_of<T, BACKWARD, Fixed<3, 2, 2>>(job);
        if (degrees == 300) return product_of<T, BACKWARD, Fixed<3, 0, 0>>(job);
        if (degrees == 222) return product_of<T, BACKWARD, Fixed<2, 2, 2>>(job);
        if (degrees == 200) return product_of<T, BACKWARD, Fixed<2, 0, 0>>(job);
    }
    product_of<T, BACKWARD, Any>(job);
}

}  // namespace DENSNET_NAMESPACE
}  // namespace engine
}  // namespace densnet

// Expansions of the potential of groups of atoms: multipoles about their centres, potentials about
// others, in complex solid harmonics R_lm = r^l P_lm e^{imφ} / (l+m)! and I_lm = (l-m)! P_lm e^{imφ} /
// r^{l+1}, P_lm without the sign (-1)^m. With them translations are sums of plain products,
// R_lm(a + b) = Σ R_jk(a) R_{l-j,m-k}(b) and I_lm(r - s) = Σ R*_jk(s) I_{l+j,m+k}(r).
// (T. Helgaker, P. Jørgensen, J. Olsen, Molecular Electronic-Structure Theory, chapter 9.13.)
#pragma once

#include "simd.hpp"

namespace densnet {
namespace DENSNET_NAMESPACE {

// A complex number of W lanes, and its place in memory.
struct Complex {
    V re, im;
};

DENSNET_INLINE Complex load_complex(const double* p) { return {load(p), load(p + W)}; }
DENSNET_INLINE void store_complex(double* p, Complex z) {
    store(p, z.re);
    store(p + W, z.im);
}
constexpr int kComplex = 2 * W;

// Rows of all -l ≤ m ≤ l: row(l)[m kComplex], of harmonics whose m and -m are bound by (-1)^m.
DENSNET_INLINE double* row_of(double* rows, int l) { return rows + kComplex * (l * l + l); }
DENSNET_INLINE const double* row_of(const double* rows, int l) { return rows + kComplex * (l * l + l); }

DENSNET_INLINE void store_both(double* row, int m, Complex z) {
    store_complex(row + kComplex * m, z);
    if (m % 2) z.re = set1(0.0) - z.re;
    else z.im = set1(0.0) - z.im;
    if (m > 0) store_complex(row - kComplex * m, z);
}

DENSNET_INLINE void regular_rows(int order, V x, V y, V z, double* rows) {
    const V r2 = fma(x, x, fma(y, y, z * z));
    Complex highest{set1(1.0), set1(0.0)};
    for (int m = 0; m <= order; ++m) {
        Complex before{set1(0.0), set1(0.0)}, current = highest;
        for (int l = m; l <= order; ++l) {
            store_both(row_of(rows, l), m, current);
            const V next = set1((2 * l + 1.0) / ((l + 1.0 + m) * (l + 1.0 - m))) * z;
            const V last = set1(1.0 / ((l + 1.0 + m) * (l + 1.0 - m))) * r2;
            const Complex value{fnma(last, before.re, next * current.re),
                                fnma(last, before.im, next * current.im)};
            before = current;
            current = value;
        }
        const V factor = set1(0.5 / (m + 1.0));
        highest = {factor * fnma(y, highest.im, x * highest.re),
                   factor * fma(y, highest.re, x * highest.im)};
    }
}

// From 1/r, and x, y, z and 1 over r².
DENSNET_INLINE void irregular_rows(int order, V inverse, V x, V y, V z, V square, double* rows) {
    Complex highest{inverse, set1(0.0)};
    for (int m = 0; m <= order; ++m) {
        Complex before{set1(0.0), set1(0.0)}, current = highest;
        for (int l = m; l <= order; ++l) {
            store_both(row_of(rows, l), m, current);
            const V next = set1(2 * l + 1.0) * z;
            const V last = set1(1.0 * l * l - 1.0 * m * m) * square;
            const Complex value{fnma(last, before.re, next * current.re),
                                fnma(last, before.im, next * current.im)};
            before = current;
            current = value;
        }
        const V factor = set1(2 * m + 1.0);
        highest = {factor * fnma(y, highest.im, x * highest.re),
                   factor * fma(y, highest.re, x * highest.im)};
    }
}

// z + a b and z + a* b.
DENSNET_INLINE Complex add_product(Complex a, Complex b, Complex z) {
    return {fnma(a.im, b.im, fma(a.re, b.re, z.re)), fma(a.im, b.re, fma(a.re, b.im, z.im))};
}
DENSNET_INLINE Complex add_conjugate(Complex a, Complex b, Complex z) {
    return {fma(a.im, b.im, fma(a.re, b.re, z.re)), fnma(a.im, b.re, fma(a.re, b.im, z.im))};
}
DENSNET_INLINE Complex with_sign(int m, Complex z) {
    return m % 2 ? Complex{set1(0.0) - z.re, set1(0.0) - z.im} : z;
}

DENSNET_INLINE int low(int a, int b) { return a < b ? a : b; }
DENSNET_INLINE int high(int a, int b) { return a > b ? a : b; }

// The multipoles of up to W atoms, shifted to the centre of their group.
static void collect_expansion(const GroupAtoms& atoms) {
    double* rows = atoms.scratch;
    regular_rows(atoms.order, load(atoms.offsets[0]), load(atoms.offsets[1]), load(atoms.offsets[2]), rows);
    double* out = atoms.expansion;
    for (int l = 0; l <= atoms.order; ++l) {
        for (int m = 0; m <= l; ++m, out += 2) {
            Complex total{set1(0.0), set1(0.0)};
            for (int j = 0; j <= low(l, atoms.l_max); ++j) {
                const int n = l - j;
                const double* row = row_of(rows, n) + kComplex * m;
                const double* q = atoms.multipoles + kComplex * expansion_place(j, 0);
                if (m <= n) {
                    const V charge = load(q);
                    total.re = fma(charge, load(row), total.re);
                    total.im = fma(charge, load(row + W), total.im);
                }
                for (int k = high(1, m - n); k <= low(j, n + m); ++k) {
                    total = add_product(load_complex(q + kComplex * k), load_complex(row - kComplex * k), total);
                }
                for (int k = 1; k <= low(j, n - m); ++k) {
                    total = add_conjugate(with_sign(k, load_complex(q + kComplex * k)),
                                          load_complex(row + kComplex * k), total);
                }
            }
            out[0] += sum(total.re);
            out[1] += sum(total.im);
        }
    }
}

// The potential of an expansion about the centre of a group, expanded about up to W of its atoms.
static void spread_expansion(const GroupAtoms& atoms) {
    double* rows = atoms.scratch;
    regular_rows(atoms.order, load(atoms.offsets[0]), load(atoms.offsets[1]), load(atoms.offsets[2]), rows);
    for (int l = 0; l <= atoms.l_max; ++l) {
        for (int m = 0; m <= l; ++m) {
            Complex total{set1(0.0), set1(0.0)};
            for (int j = l; j <= atoms.order; ++j) {
                const int n = j - l;
                const double* row = row_of(rows, n);
                const double* about = atoms.about + 2 * expansion_place(j, 0);
                if (m <= n) {
                    const Complex r = with_sign(m, load_complex(row + kComplex * m));
                    total.re = fma(set1(about[0]), r.re, total.re);
                    total.im = fma(set1(about[0]), r.im, total.im);
                }
                for (int k = high(1, m - n); k <= low(j, n + m); ++k) {
                    const Complex value{set1(about[2 * k]), set1(about[2 * k + 1])};
                    total = add_conjugate(load_complex(row + kComplex * (k - m)), value, total);
                }
                for (int k = 1; k <= low(j, n - m); ++k) {
                    const Complex value = with_sign(m, {set1(about[2 * k]), set1(about[2 * k + 1])});
                    total = add_conjugate(value, load_complex(row + kComplex * (k + m)), total);
                }
            }
            store_complex(atoms.potentials + kComplex * expansion_place(l, m), total);
        }
    }
}

// Between the expansions of W groups, one after the other in memory, and a vector of each of their terms.
DENSNET_INLINE void gather_terms(const double* const* expansions, int size, double* out) {
    for (int i = 0; i < size; i += W) {
        V tile[W];
        for (int lane = 0; lane < W; ++lane) tile[lane] = load(expansions[lane] + i);
        transpose(tile);
        for (int t = 0; t < W; ++t) store(out + W * (i + t), tile[t]);
    }
}
DENSNET_INLINE void scatter_terms(const double* in, int size, int n_expansions, double* const* expansions) {
    for (int i = 0; i < size; i += W) {
        V tile[W];
        for (int t = 0; t < W; ++t) tile[t] = load(in + W * (i + t));
        transpose(tile);
        for (int lane = 0; lane < n_expansions; ++lane) {
            store(expansions[lane] + i, load(expansions[lane] + i) + tile[lane]);
        }
    }
}

DENSNET_INLINE void change_odd_degrees(int order, double* terms) {
    for (int l = 1; l <= order; l += 2) {
        double* term = terms + kComplex * expansion_place(l, 0);
        for (int i = 0; i < 2 * (l + 1); ++i) store(term + W * i, set1(0.0) - load(term + W * i));
    }
}

// All m of degree j of the first with all of degree l of the second. With X the row of degree l + j of
// irregular harmonics: v_jk += Σ q*_lm X_{m+k} and v_lm += Σ q*_jk X_{m+k}, over all signs of m or k.
DENSNET_INLINE void exchange_terms(int j, int l, const double* row, const double* q_j, const double* q_l,
                                   double* v_j, double* v_l) {
    const V two = set1(2.0);
    const V charge_j = load(q_j), charge_l = load(q_l);
    V axial_j = fma(charge_l, load(row), load(v_j)), axial_l = fma(charge_j, load(row), load(v_l));
    for (int m = 1; m <= l; ++m) {
        const Complex x = load_complex(row + kComplex * m), q = load_complex(q_l + kComplex * m);
        const Complex v = load_complex(v_l + kComplex * m);
        axial_j = fma(two, fma(q.re, x.re, q.im * x.im), axial_j);
        store_complex(v_l + kComplex * m, {fma(charge_j, x.re, v.re), fma(charge_j, x.im, v.im)});
    }
    store(v_j, axial_j);
    for (int k = 1; k <= j; ++k) {
        const double* centre = row + kComplex * k;
        const Complex x = load_complex(centre), q_k = load_complex(q_j + kComplex * k);
        Complex on_k = load_complex(v_j + kComplex * k);
        on_k = {fma(charge_l, x.re, on_k.re), fma(charge_l, x.im, on_k.im)};
        axial_l = fma(two, fma(q_k.re, x.re, q_k.im * x.im), axial_l);
        V sign = set1(-1.0);
        for (int m = 1; m <= l; ++m) {
            const Complex above = load_complex(centre + kComplex * m);
            const Complex below = load_complex(centre - kComplex * m);
            const Complex q = load_complex(q_l + kComplex * m);
            Complex v = load_complex(v_l + kComplex * m);
            const V even = fma(sign, below.re, above.re), odd = fnma(sign, below.re, above.re);
            const V plus = fma(sign, below.im, above.im), minus = fnma(sign, below.im, above.im);
            on_k.re = fma(q.im, minus, fma(q.re, even, on_k.re));
            on_k.im = fnma(q.im, odd, fma(q.re, plus, on_k.im));
            v.re = fma(q_k.im, plus, fma(q_k.re, even, v.re));
            v.im = fnma(q_k.im, odd, fma(q_k.re, minus, v.im));
            store_complex(v_l + kComplex * m, v);
            sign = set1(0.0) - sign;
        }
        store_complex(v_j + kComplex * k, on_k);
    }
    store(v_l, axial_l);
}

static void exchange_expansions(const GroupPairs& pairs) {
    const int order = pairs.order, size = expansion_size(order);
    double* q_a = pairs.scratch;
    double *q_b = q_a + W * size, *v_a = q_b + W * size, *v_b = v_a + W * size, *rows = v_b + W * size;
    const V x = load(pairs.vectors[0]), y = load(pairs.vectors[1]), z = load(pairs.vectors[2]);
    const V square = set1(1.0) / fma(x, x, fma(y, y, z * z));
    irregular_rows(order, sqrt(square), x * square, y * square, z * square, square, rows);
    gather_terms(pairs.multipoles_a, size, q_a);
    gather_terms(pairs.multipoles_b, size, q_b);
    // what is exchanged changes sign with the direction of the vector
    change_odd_degrees(order, q_a);
    for (int i = 0; i < 2 * size; ++i) store(v_a + W * i, set1(0.0));
    for (int l = 0; l <= order; ++l) {
        const int at_l = kComplex * expansion_place(l, 0);
        for (int j = 0; j <= order - l; ++j) {
            const int at_j = kComplex * expansion_place(j, 0);
            exchange_terms(j, l, row_of(rows, l + j), q_a + at_j, q_b + at_l, v_a + at_j,
                           v_b + at_l);
        }
    }
    change_odd_degrees(order, v_a);
    scatter_terms(v_a, size, pairs.n_pairs, pairs.potentials_a);
    scatter_terms(v_b, size, pairs.n_pairs, pairs.potentials_b);
}

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

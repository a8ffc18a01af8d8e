// Coulomb integrals between distant atoms: a product of two moments and the interaction of multipoles.
#pragma once

#include "expansions.hpp"
#include "place.hpp"

namespace densnet {
namespace DENSNET_NAMESPACE {

template <int L>
DENSNET_INLINE void spread_rows(const double* block, int n_rows, int n_shells, double* out,
                                std::ptrdiff_t out_stride) {
    constexpr int n = 2 * L + 1;
    for (int r = 0; r < n_rows; ++r) tile<n>(block + r * n, n_shells * n, out + r * out_stride);
}

static void spread_multipoles(const InteractionView& view) {
    double* column = view.out;
    for (int g = 0; g < view.n_groups; ++g) {
        const int l = view.l[g], n_shells = view.n_shells[g];
        for (int l_a = 0; l_a <= view.l_a; ++l_a) {
            const double* block = view.table + view.offset[l_a][l];
            double* out = column + l_a * l_a * view.out_stride;
            const int n_rows = 2 * l_a + 1;
            switch (l) {
                case 0: spread_rows<0>(block, n_rows, n_shells, out, view.out_stride); break;
                case 1: spread_rows<1>(block, n_rows, n_shells, out, view.out_stride); break;
                case 2: spread_rows<2>(block, n_rows, n_shells, out, view.out_stride); break;
                case 3: spread_rows<3>(block, n_rows, n_shells, out, view.out_stride); break;
                case 4: spread_rows<4>(block, n_rows, n_shells, out, view.out_stride); break;
                case 5: spread_rows<5>(block, n_rows, n_shells, out, view.out_stride); break;
                default: spread_rows<6>(block, n_rows, n_shells, out, view.out_stride); break;
            }
        }
        column += n_shells * (2 * l + 1);
    }
}

// Both moments first: exchanging rows and columns changes no bit.
struct Interaction {
    double row_moment;
    const double *column_moment, *interaction;
    DENSNET_MEMBER V operator()(int j) const {
        return (set1(row_moment) * load(column_moment + j)) * load(interaction + j);
    }
    DENSNET_MEMBER double at(int j) const {
        return (row_moment * column_moment[j]) * interaction[j];
    }
};

static void write_distant(const DistantRows& rows) {
    for (int i = 0; i < rows.n_rows; ++i) {
        const Interaction row{rows.row_moment[i], rows.column_moment,
                              rows.interaction + rows.multipole[i] * rows.stride};
        double* target = rows.out + i * rows.out_stride;
        if (rows.streamed) {
            if (i + kRowsAhead < rows.n_rows) {
                prefetch_ends(target + kRowsAhead * rows.out_stride, rows.n_columns);
            }
            stream_row(row, rows.n_columns, target);
            continue;
        }
        int j = 0;
        for (; j + W <= rows.n_columns; j += W) store(target + j, row(j));
        for (; j < rows.n_columns; ++j) target[j] = row.at(j);
    }
    if (rows.streamed) stream_fence();
}

// As exchange_terms, with the terms of degree L of the second in registers.
template <int L, bool TO_J, bool TO_L>
DENSNET_INLINE void exchange_degree(int j, const double* row, const double* q_j, const double* q_l, double* v_j,
                                    double* v_l) {
    const V two = set1(2.0);
    Complex q[L + 1], v[L + 1];
    for (int m = 0; m <= L; ++m) {
        q[m] = load_complex(q_l + kComplex * m);
        v[m] = load_complex(v_l + kComplex * m);
    }
    const V charge = load(q_j);
    V axial = fma(q[0].re, load(row), load(v_j));
    v[0].re = fma(charge, load(row), v[0].re);
#pragma GCC unroll 8
    for (int m = 1; m <= L; ++m) {
        const Complex x = load_complex(row + kComplex * m);
        axial = fma(two, fma(q[m].re, x.re, q[m].im * x.im), axial);
        v[m] = {fma(charge, x.re, v[m].re), fma(charge, x.im, v[m].im)};
    }
    if (TO_J) store(v_j, axial);
    for (int k = 1; k <= j; ++k) {
        const double* centre = row + kComplex * k;
        const Complex x = load_complex(centre), q_k = load_complex(q_j + kComplex * k);
        Complex on_k = load_complex(v_j + kComplex * k);
        on_k = {fma(q[0].re, x.re, on_k.re), fma(q[0].re, x.im, on_k.im)};
        v[0].re = fma(two, fma(q_k.re, x.re, q_k.im * x.im), v[0].re);
#pragma GCC unroll 8
        for (int m = 1; m <= L; ++m) {
            const Complex above = load_complex(centre + kComplex * m);
            const Complex below = load_complex(centre - kComplex * m);
            const V sum_re = above.re + below.re, difference_re = above.re - below.re;
            const V sum_im = above.im + below.im, difference_im = above.im - below.im;
            const V even = m % 2 ? difference_re : sum_re, odd = m % 2 ? sum_re : difference_re;
            const V plus = m % 2 ? difference_im : sum_im, minus = m % 2 ? sum_im : difference_im;
            if (TO_J) {
                on_k.re = fma(q[m].im, minus, fma(q[m].re, even, on_k.re));
                on_k.im = fnma(q[m].im, odd, fma(q[m].re, plus, on_k.im));
            }
            if (TO_L) {
                v[m].re = fma(q_k.im, plus, fma(q_k.re, even, v[m].re));
                v[m].im = fnma(q_k.im, odd, fma(q_k.re, minus, v[m].im));
            }
        }
        if (TO_J) store_complex(v_j + kComplex * k, on_k);
    }
    for (int m = 0; m <= L && TO_L; ++m) store_complex(v_l + kComplex * m, v[m]);
}

// All degrees of the first with degree L of the second; one more of each for gradients.
template <int L>
static void exchange_with(int l_a, int l_b, bool gradients, const double* rows, const double* q_a,
                          const double* q_b, double* v_a, double* v_b) {
    q_b += kComplex * expansion_place(L, 0);
    v_b += kComplex * expansion_place(L, 0);
    for (int j = 0; j <= l_a + (gradients && L <= l_b ? 1 : 0); ++j) {
        const int at = kComplex * expansion_place(j, 0);
        const double* row = row_of(rows, j + L);
        if (L > l_b) {
            exchange_degree<L, false, true>(j, row, q_a + at, q_b, v_a + at, v_b);
        } else if (j > l_a) {
            exchange_degree<L, true, false>(j, row, q_a + at, q_b, v_a + at, v_b);
        } else {
            exchange_degree<L, true, true>(j, row, q_a + at, q_b, v_a + at, v_b);
        }
    }
}

static void exchange_multipoles(int l_a, int l_b, bool gradients, const double* rows, const double* q_a,
                                const double* q_b, double* v_a, double* v_b) {
    for (int l = 0; l <= l_b + (gradients ? 1 : 0); ++l) {
        switch (l) {
            case 0: exchange_with<0>(l_a, l_b, gradients, rows, q_a, q_b, v_a, v_b); break;
            case 1: exchange_with<1>(l_a, l_b, gradients, rows, q_a, q_b, v_a, v_b); break;
            case 2: exchange_with<2>(l_a, l_b, gradients, rows, q_a, q_b, v_a, v_b); break;
            case 3: exchange_with<3>(l_a, l_b, gradients, rows, q_a, q_b, v_a, v_b); break;
            case 4: exchange_with<4>(l_a, l_b, gradients, rows, q_a, q_b, v_a, v_b); break;
            case 5: exchange_with<5>(l_a, l_b, gradients, rows, q_a, q_b, v_a, v_b); break;
            case 6: exchange_with<6>(l_a, l_b, gradients, rows, q_a, q_b, v_a, v_b); break;
            default: exchange_with<7>(l_a, l_b, gradients, rows, q_a, q_b, v_a, v_b); break;
        }
    }
}

static void distant_row(const DistantRow& row) {
    constexpr int n_terms = expansion_place(kMaxL + 2, 0);
    const double lane_numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const V zero = set1(0.0), one = set1(1.0);
    const int l_a = row.l_max[row.a], more = row.gradients ? 1 : 0;
    const int n_a = 2 * expansion_place(l_a + 1 + more, 0);
    alignas(64) double q_a[kComplex * n_terms], v_a[kComplex * n_terms];
    alignas(64) double q_b[kComplex * n_terms], v_b[kComplex * n_terms];
    alignas(64) double rows[kComplex * (2 * kMaxL + 2) * (2 * kMaxL + 2)];
    for (int i = 0; i < n_a; ++i) {
        store(q_a + W * i, set1(row.multipoles[i * row.stride + row.a]));
        store(v_a + W * i, zero);
    }
    change_odd_degrees(l_a, q_a);
    bool some = false;
    for (int b = 0; b < row.a; b += W) {
        V r[3], r2 = zero;
        for (int axis = 0; axis < 3; ++axis) {
            r[axis] = set1(row.positions[axis][row.a]) - load(row.positions[axis] + b);
            r2 = fma(r[axis], r[axis], r2);
        }
        // lanes behind the last atom count as near
        r2 = select(less(load(lane_numbers), set1(row.a - b)), r2, zero);
        const M far = less(load(row.squared_reach + b), r2);
        if (!any(far)) continue;
        some = true;
        const int l_b = row.l_max[b + W <= row.a ? b + W - 1 : row.a - 1];
        const int n_b = 2 * expansion_place(l_b + 1 + more, 0);
        const V inverse = select(far, one / sqrt(select(far, r2, one)), zero), square = inverse * inverse;
        irregular_rows(l_a + l_b + more, inverse, r[0] * square, r[1] * square, r[2] * square, square, rows);
        for (int i = 0; i < n_b; ++i) {
            store(q_b + W * i, load(row.multipoles + i * row.stride + b));
            store(v_b + W * i, zero);
        }
        exchange_multipoles(l_a, l_b, row.gradients, rows, q_a, q_b, v_a, v_b);
        for (int i = 0; i < n_b; ++i) {
            double* target = row.potentials + i * row.stride + b;
            store(target, load(target) + load(v_b + W * i));
        }
    }
    if (!some) return;
    change_odd_degrees(l_a + more, v_a);
    for (int i = 0; i < n_a; ++i) row.potentials[i * row.stride + row.a] += sum(load(v_a + W * i));
}

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

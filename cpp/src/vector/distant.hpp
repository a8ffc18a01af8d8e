// Coulomb integrals between distant atoms: a product of two moments and the interaction of multipoles.
#pragma once

#include "harmonics.hpp"
#include "place.hpp"
#include "turns.hpp"

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

// Σ_l qᵀ Λ v for turns about x, y and z; multipoles in the order of coefficients.
static void add_torques(int l_max, const V* q, const V* v, V torque[3]) {
    for (int l = 1; l <= l_max; ++l) {
        const Rotation& constant = rotation(l);
        const int n = 2 * l + 1;
        V c[2 * kMaxL + 1], y[2 * kMaxL + 1], turned[2 * kMaxL + 1];
        for (int i = 0; i < n; ++i) {
            c[i] = q[l * l + place_of_m(l, i)];
            y[i] = v[l * l + place_of_m(l, i)];
        }
        multiply(constant.turn_x, n, y, turned);
        for (int i = 0; i < n; ++i) torque[0] = fma(c[i], turned[i], torque[0]);
        multiply(constant.turn_y, n, y, turned);
        for (int i = 0; i < n; ++i) torque[1] = fma(c[i], turned[i], torque[1]);
        for (int m = -l; m <= l; ++m) {
            torque[2] = fma(set1(-m) * c[l + m], y[l - m], torque[2]);
        }
    }
}

// All m of one degree of an atom with all m of degree L of W others: potentials on both, and the energy.
template <int L>
DENSNET_INLINE V exchange_degrees(const Coupling& coupling, const V* irregular, const double* q_a,
                                  std::ptrdiff_t stride_a, const V* q_b, V* v_a, V* v_b) {
    constexpr int n_b = 2 * L + 1;
    const int n_a = 2 * coupling.l_a + 1, first = coupling.n * n_a * n_b;
    const double sign = coupling.l_a % 2 ? -1.0 : 1.0;
    const int(*harmonic)[2] = coupling.harmonic + first;
    const double(*value)[2] = coupling.value + first;
    V energy = set1(0.0), on_b[n_b];
    for (int o = 0; o < n_b; ++o) on_b[o] = v_b[o];
    for (int m = 0; m < n_a; ++m) {
        const V q = set1(sign * q_a[m * stride_a]);
        V potential = set1(0.0);
#pragma GCC unroll 13
        for (int o = 0; o < n_b; ++o) {
            const V matrix = fma(set1(value[o][0]), irregular[harmonic[o][0]],
                                 set1(value[o][1]) * irregular[harmonic[o][1]]);
            potential = fma(matrix, q_b[o], potential);
            on_b[o] = fma(matrix, q, on_b[o]);
        }
        harmonic += n_b;
        value += n_b;
        energy = fma(q, potential, energy);
        v_a[m] = fma(set1(sign), potential, v_a[m]);
    }
    for (int o = 0; o < n_b; ++o) v_b[o] = on_b[o];
    return energy;
}

// The multipoles of one atom with those of up to W others. v_a and v_b: potentials on them; returns
// R·∇ of the energy.
DENSNET_INLINE V exchange_multipoles(int l_a, int l_b, const V* irregular, const double* q_a,
                                     std::ptrdiff_t stride_a, const V* q_b, V* v_a, V* v_b) {
    V along = set1(0.0);
    for (int i = 0; i <= l_a; ++i) {
        const double* q = q_a + i * i * stride_a;
        V* v = v_a + i * i;
        for (int j = 0; j <= l_b; ++j) {
            const Coupling& k = coupling(i, j);
            const V* q_j = q_b + j * j;
            V *v_j = v_b + j * j, energy;
            switch (j) {
                case 0: energy = exchange_degrees<0>(k, irregular, q, stride_a, q_j, v, v_j); break;
                case 1: energy = exchange_degrees<1>(k, irregular, q, stride_a, q_j, v, v_j); break;
                case 2: energy = exchange_degrees<2>(k, irregular, q, stride_a, q_j, v, v_j); break;
                case 3: energy = exchange_degrees<3>(k, irregular, q, stride_a, q_j, v, v_j); break;
                case 4: energy = exchange_degrees<4>(k, irregular, q, stride_a, q_j, v, v_j); break;
                case 5: energy = exchange_degrees<5>(k, irregular, q, stride_a, q_j, v, v_j); break;
                default: energy = exchange_degrees<6>(k, irregular, q, stride_a, q_j, v, v_j); break;
            }
            along = fma(set1(-(k.l_high + 1.0)), energy, along);
        }
    }
    return along;
}

static void distant_row(const DistantRow& row) {
    constexpr int n_multipoles = (kMaxL + 1) * (kMaxL + 1);
    const double lane_numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    const V zero = set1(0.0), one = set1(1.0);
    const int l_a = row.l_max[row.a], n_a = (l_a + 1) * (l_a + 1);
    V total[n_multipoles], total_gradient[3] = {zero, zero, zero};
    for (int m = 0; m < n_a; ++m) total[m] = zero;
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
        const int l_b = row.l_max[b + W <= row.a ? b + W - 1 : row.a - 1], n_b = (l_b + 1) * (l_b + 1);
        const V inverse = select(far, one / sqrt(select(far, r2, one)), zero);
        V irregular[(kMaxOrder + 1) * (kMaxOrder + 1)];
        harmonics_at(l_a + l_b, r[0] * inverse, r[1] * inverse, r[2] * inverse, one, irregular);
        make_irregular(l_a + l_b, inverse, irregular);
        V q_b[n_multipoles], v_a[n_multipoles], v_b[n_multipoles];
        for (int m = 0; m < n_a; ++m) v_a[m] = zero;
        for (int m = 0; m < n_b; ++m) {
            q_b[m] = load(row.multipoles + m * row.stride + b);
            v_b[m] = zero;
        }
        const V along = exchange_multipoles(l_a, l_b, irregular, row.multipoles + row.a, row.stride,
                                            q_b, v_a, v_b);
        for (int m = 0; m < n_a; ++m) total[m] = total[m] + v_a[m];
        for (int m = 0; m < n_b; ++m) {
            double* target = row.potentials + m * row.stride + b;
            store(target, load(target) + v_b[m]);
        }
        if (!row.gradients) continue;
        // the gradient along R from the power of R, across it from the torque: turning all changes nothing
        V q_a[n_multipoles], torque[3] = {zero, zero, zero};
        for (int m = 0; m < n_a; ++m) q_a[m] = set1(row.multipoles[m * row.stride + row.a]);
        add_torques(l_a, q_a, v_a, torque);
        add_torques(l_b, q_b, v_b, torque);
        for (int axis = 0; axis < 3; ++axis) {
            const int next = (axis + 1) % 3, last = (axis + 2) % 3;
            const V across = fnma(torque[last], r[next], torque[next] * r[last]);
            const V gradient = set1(2.0) * inverse * inverse * fma(along, r[axis], across);
            double* target = row.gradients + axis * row.stride + b;
            store(target, load(target) - gradient);
            total_gradient[axis] = total_gradient[axis] + gradient;
        }
    }
    if (!some) return;
    for (int m = 0; m < n_a; ++m) row.potentials[m * row.stride + row.a] += sum(total[m]);
    if (!row.gradients) return;
    for (int axis = 0; axis < 3; ++axis) {
        row.gradients[axis * row.stride + row.a] += sum(total_gradient[axis]);
    }
}

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

// From radial factors and coupled harmonics to a block of the matrix, and its mirror image.
#pragma once

#include "simd.hpp"

namespace densnet {
namespace DENSNET_NAMESPACE {

// The part of W columns, all m_a of one shell i: Σ_k spread[k] tile[k][m_a] for k from FIRST to N.
template <int FIRST, int N>
DENSNET_INLINE void place_vector(const double* spread, const double* tiles, int padded, int ma_count,
                                 double* out, std::ptrdiff_t out_stride, int columns) {
    V factor[N + 1];
    for (int k = FIRST; k <= N; ++k) factor[k] = load(spread + k * padded);
    for (int m = 0; m < ma_count; ++m) {
        const double* tile = tiles + m * padded;
        V value = factor[N] * load(tile + N * ma_count * padded);
#pragma GCC unroll 8
        for (int k = FIRST; k < N; ++k) {
            value = fma(factor[k], load(tile + k * ma_count * padded), value);
        }
        if (columns >= W) {
            store(out, value);
        } else {
            store_first(out, value, columns);
        }
        out += out_stride;
    }
}

// Row (i, m_a) of a block is Σ_k f_k[i, j] G_k[m_a, m_b] over the columns (j, m_b). Along a row f_k is
// every f_k[i, j] repeated 2 l_b + 1 times and G_k the 2 l_b + 1 values tiled n_b times, so that the
// sum runs over full vectors.
template <int LB, int N, bool COULOMB>
static void place_of(const BlockView& block) {
    constexpr int MB = 2 * LB + 1;
    // With fewer terms than l_b + 1, l_a is the smaller degree.
    const int ma_count = N < LB ? 2 * N + 1 : 2 * block.coupling->l_a + 1;
    const int n_columns = block.n_b * MB;
    const int padded = block_row_size(n_columns);
    double* tiles = block.scratch;                            // [k][m_a][padded]
    double* spread = tiles + (N + 1) * ma_count * padded;     // [k][padded]
    // All k but, for Coulomb, the last one take part only in the columns that are near in the first
    // row, which has most of them, and the rest of a vector there.
    const int near_columns = block.near[0] * MB + W - 1;
    const int few = COULOMB && near_columns < n_columns ? near_columns : n_columns;
    const int first = COULOMB && block.near[0] == 0 ? N : 0;
    for (int row = first * ma_count; row < (N + 1) * ma_count; ++row) {
        tile<MB>(block.g + row * MB, row < N * ma_count ? few : n_columns, tiles + row * padded);
    }
    const int full = n_columns / W * W, rest = n_columns - full;
    for (int i = 0; i < block.n_a; ++i) {
        const int near = block.near[i] * MB;
        for (int k = first; k <= N; ++k) {
            const double* f = block.f + k * block.f_stride + i * block.n_b;
            double* target = spread + k * padded;
            if (COULOMB && k == N) {
                repeat<MB>(f, block.n_b, target);
            } else {
                repeat<MB>(f, block.near[i], target);
                store(target + near, set1(0.0));
            }
        }
        double* out = block.out + i * ma_count * block.out_stride;
        const int near_end = near < full ? near : full;
        int j = 0;
        for (; j < near_end; j += W) {
            place_vector<0, N>(spread + j, tiles + j, padded, ma_count, out + j, block.out_stride, W);
        }
        if (COULOMB) {
            for (; j < full; j += W) {
                place_vector<N, N>(spread + j, tiles + j, padded, ma_count, out + j,
                                   block.out_stride, W);
            }
            if (rest > 0 && near > full) {
                place_vector<0, N>(spread + j, tiles + j, padded, ma_count, out + j,
                                   block.out_stride, rest);
            } else if (rest > 0) {
                place_vector<N, N>(spread + j, tiles + j, padded, ma_count, out + j,
                                   block.out_stride, rest);
            }
            continue;
        }
        if (rest > 0 && near > full) {
            place_vector<0, N>(spread + j, tiles + j, padded, ma_count, out + j, block.out_stride,
                               rest);
            continue;
        }
        if (!block.write_zeros) continue;
        for (int m = 0; m < ma_count; ++m) {
            double* row = out + m * block.out_stride;
            int column = j;
            for (; column < full; column += W) store(row + column, set1(0.0));
            if (rest > 0) store_first(row + column, set1(0.0), rest);
        }
    }
}

template <int LB, bool COULOMB>
static void place_columns(const BlockView& block) {
    switch (block.coupling->n) {
        case 0: return place_of<LB, 0, COULOMB>(block);
        case 1: return place_of<LB, LB < 1 ? LB : 1, COULOMB>(block);
        case 2: return place_of<LB, LB < 2 ? LB : 2, COULOMB>(block);
        case 3: return place_of<LB, LB < 3 ? LB : 3, COULOMB>(block);
        case 4: return place_of<LB, LB < 4 ? LB : 4, COULOMB>(block);
        case 5: return place_of<LB, LB < 5 ? LB : 5, COULOMB>(block);
        default: return place_of<LB, LB, COULOMB>(block);
    }
}

template <bool COULOMB>
static void place(const BlockView& block) {
    switch (block.coupling->l_b) {
        case 0: return place_columns<0, COULOMB>(block);
        case 1: return place_columns<1, COULOMB>(block);
        case 2: return place_columns<2, COULOMB>(block);
        case 3: return place_columns<3, COULOMB>(block);
        case 4: return place_columns<4, COULOMB>(block);
        case 5: return place_columns<5, COULOMB>(block);
        default: return place_columns<6, COULOMB>(block);
    }
}

// out[j, i] = in[i, j], in tiles of W × W; the writes run along the rows of out.
static void transpose_block(const double* in, std::ptrdiff_t in_stride, int n_rows, int n_columns,
                            double* out, std::ptrdiff_t out_stride) {
    const int full_rows = n_rows / W * W, full_columns = n_columns / W * W;
    for (int j = 0; j < full_columns; j += W) {
        for (int i = 0; i < full_rows; i += W) {
            V tile[W];
            for (int r = 0; r < W; ++r) tile[r] = load(in + (i + r) * in_stride + j);
            transpose(tile);
            for (int c = 0; c < W; ++c) store(out + (j + c) * out_stride + i, tile[c]);
        }
    }
    for (int j = 0; j < n_columns; j += W) {
        const int columns = n_columns - j < W ? n_columns - j : W;
        for (int i = columns == W ? full_rows : 0; i < n_rows; i += W) {
            const int rows = n_rows - i < W ? n_rows - i : W;
            V tile[W];
            for (int r = 0; r < W; ++r) {
                tile[r] = r < rows ? load_first(in + (i + r) * in_stride + j, columns) : set1(0.0);
            }
            transpose(tile);
            for (int c = 0; c < columns; ++c) {
                store_first(out + (j + c) * out_stride + i, tile[c], rows);
            }
        }
    }
}

// Rows written past the caches: a matrix that exceeds them would first be read to be overwritten.
// The lines at both ends of a row belong to neighbouring blocks as well and have to be read; asked for
// some rows ahead, they cost next to nothing instead of half of the time.
constexpr int kRowsAhead = 8;

DENSNET_INLINE void prefetch_ends(const double* row, int n_columns) {
    __builtin_prefetch(row, 1);
    __builtin_prefetch(row + n_columns - 1, 1);
}

struct Copied {
    const double* source;
    DENSNET_MEMBER V operator()(int j) const { return load(source + j); }
    DENSNET_MEMBER double at(int j) const { return source[j]; }
};

struct Zeros {
    DENSNET_MEMBER V operator()(int) const { return set1(0.0); }
    DENSNET_MEMBER double at(int) const { return 0.0; }
};

// target[j] = source(j). Masked writes at the ends would take half as long again as these.
template <typename Source>
DENSNET_INLINE void stream_row(const Source& source, int n, double* target) {
    int j = 0;
    for (; j < n && reinterpret_cast<std::size_t>(target + j) % sizeof(V) != 0; ++j) {
        target[j] = source.at(j);
    }
    for (; j + W <= n; j += W) stream(target + j, source(j));
    for (; j < n; ++j) target[j] = source.at(j);
}

// Copies, or zeros if `in` is null.
static void stream_rows(const double* in, std::ptrdiff_t in_stride, int n_rows, int n_columns,
                        double* out, std::ptrdiff_t out_stride) {
    for (int i = 0; i < n_rows; ++i) {
        double* target = out + i * out_stride;
        if (i + kRowsAhead < n_rows) prefetch_ends(target + kRowsAhead * out_stride, n_columns);
        if (in == nullptr) {
            stream_row(Zeros{}, n_columns, target);
        } else {
            stream_row(Copied{in + i * in_stride}, n_columns, target);
        }
    }
    stream_fence();
}

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

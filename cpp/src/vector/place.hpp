// From radial factors and coupled harmonics to a block of the matrix, and its mirror image.
#pragma once

#include "simd.hpp"

namespace densnet {
namespace DENSNET_NAMESPACE {

// Row (i, m_a) of a block is Σ_k f_k[i, j] G_k[m_a, m_b] over the columns (j, m_b). Along a row f_k is
// every f_k[i, j] repeated 2 l_b + 1 times and G_k the 2 l_b + 1 values tiled n_b times, so that the
// sum runs over full vectors.
template <int LB, int N, bool COULOMB>
static void place_of(const BlockView& block) {
    constexpr int MB = 2 * LB + 1;
    const int ma_count = 2 * block.coupling->l_a + 1;
    const int n_columns = block.n_b * MB;
    const int padded = block_row_size(n_columns);
    double* tiles = block.scratch;                            // [k][m_a][padded]
    double* spread = tiles + (N + 1) * ma_count * padded;     // [k][padded]
    for (int row = 0; row < (N + 1) * ma_count; ++row) {
        const double* g = block.g + row * MB;
        for (int j = 0; j < block.n_b; ++j) {
            for (int q = 0; q < MB; q += W) store(tiles + row * padded + j * MB + q, load(g + q));
        }
    }
    for (int i = 0; i < block.n_a; ++i) {
        const int near = block.near[i] * MB;
        for (int k = 0; k < N; ++k) {
            repeat<MB>(block.f + k * block.f_stride + i * block.n_b, block.near[i],
                       spread + k * padded);
        }
        repeat<MB>(block.f + N * block.f_stride + i * block.n_b, COULOMB ? block.n_b : block.near[i],
                   spread + N * padded);
        for (int m = 0; m < ma_count; ++m) {
            double* out = block.out + (i * ma_count + m) * block.out_stride;
            int j = 0;
            for (; j < near; j += W) {
                V value = load(spread + N * padded + j) * load(tiles + (N * ma_count + m) * padded + j);
#pragma GCC unroll 8
                for (int k = 0; k < N; ++k) {
                    value = fma(load(spread + k * padded + j),
                                load(tiles + (k * ma_count + m) * padded + j), value);
                }
                if (j + W <= near) {
                    store(out + j, value);
                } else {
                    store_first(out + j, value, near - j);
                }
            }
            if (!COULOMB && !block.write_zeros) continue;
            for (j = near; j < n_columns; j += W) {
                V value = set1(0.0);
                if (COULOMB) {
                    value = load(spread + N * padded + j) *
                            load(tiles + (N * ma_count + m) * padded + j);
                }
                if (j + W <= n_columns) {
                    store(out + j, value);
                } else {
                    store_first(out + j, value, n_columns - j);
                }
            }
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

// out[j, i] = in[i, j], in tiles of W × W.
static void transpose_block(const double* in, std::ptrdiff_t in_stride, int n_rows, int n_columns,
                            double* out, std::ptrdiff_t out_stride) {
    for (int i = 0; i < n_rows; i += W) {
        const int rows = n_rows - i < W ? n_rows - i : W;
        for (int j = 0; j < n_columns; j += W) {
            const int columns = n_columns - j < W ? n_columns - j : W;
            V tile[W];
            if (rows == W && columns == W) {
                for (int r = 0; r < W; ++r) tile[r] = load(in + (i + r) * in_stride + j);
                transpose(tile);
                for (int c = 0; c < W; ++c) store(out + (j + c) * out_stride + i, tile[c]);
                continue;
            }
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

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

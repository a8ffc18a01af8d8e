// Products of a few rows with a matrix that stays in the nearest cache.
#pragma once

#include "simd.hpp"

namespace densnet {
namespace engine {
namespace DENSNET_NAMESPACE {

// ROWS × (COLUMNS vectors) of the result stay in registers.
template <typename T, int ROWS, int COLUMNS>
static void linear_block(const LinearJob<T>& job, int m, int row, int column) {
    using V = typename Wide<T>::V;
    constexpr int N = Wide<T>::N;
    V total[ROWS][COLUMNS];
    const std::ptrdiff_t out_width = job.out_width;
    T* out = job.out + m * job.out_stride + row * out_width + column;
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 2
        for (int c = 0; c < COLUMNS; ++c) {
            total[r][c] = job.accumulate ? load(out + r * out_width + c * N) : V{};
        }
    }
    const T* w = job.weights + column;
    for (int s = 0; s < job.n_sources; ++s) {
        const Source<T>& source = job.sources[s];
        const std::ptrdiff_t width = source.width;
        const T* x = source.data + m * source.stride + row * width;
        for (int k = 0; k < source.n_in; ++k, w += job.weight_stride) {
            V b[COLUMNS];
#pragma GCC unroll 2
            for (int c = 0; c < COLUMNS; ++c) b[c] = load(w + c * N);
#pragma GCC unroll 12
            for (int r = 0; r < ROWS; ++r) {
                const V a = set1(x[r * width + k]);
#pragma GCC unroll 2
                for (int c = 0; c < COLUMNS; ++c) total[r][c] += a * b[c];
            }
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 2
        for (int c = 0; c < COLUMNS; ++c) store(out + r * out_width + c * N, total[r][c]);
    }
}

template <typename T, int COLUMNS>
DENSNET_INLINE void linear_rows(const LinearJob<T>& job, int m, int row, int n, int column) {
    switch (n) {
        case 1: return linear_block<T, 1, COLUMNS>(job, m, row, column);
        case 2: return linear_block<T, 2, COLUMNS>(job, m, row, column);
        case 3: return linear_block<T, 3, COLUMNS>(job, m, row, column);
        case 4: return linear_block<T, 4, COLUMNS>(job, m, row, column);
        case 5: return linear_block<T, 5, COLUMNS>(job, m, row, column);
        case 6: return linear_block<T, 6, COLUMNS>(job, m, row, column);
#if DENSNET_BYTES == 64
        case 7: return linear_block<T, 7, COLUMNS>(job, m, row, column);
        case 8: return linear_block<T, 8, COLUMNS>(job, m, row, column);
        case 9: return linear_block<T, 9, COLUMNS>(job, m, row, column);
        case 10: return linear_block<T, 10, COLUMNS>(job, m, row, column);
        case 11: return linear_block<T, 11, COLUMNS>(job, m, row, column);
        case 12: return linear_block<T, 12, COLUMNS>(job, m, row, column);
#endif
    }
}

template <typename T>
static void linear(const LinearJob<T>& job) {
    constexpr int N = Wide<T>::N;
    // With 32 registers 12 × 2 sums fit, with 16 registers 6 × 2.
    constexpr int most = DENSNET_BYTES == 64 ? 12 : 6;
    const int n_blocks = (job.n_rows + most - 1) / most;
    int column = 0;
    while (column < job.n_columns) {
        const bool two = column + 2 * N <= job.n_columns;
        for (int m = 0; m < job.n_m; ++m) {
            int row = 0;
            for (int block = 0; block < n_blocks; ++block) {
                const int n = (job.n_rows - row + n_blocks - block - 1) / (n_blocks - block);
                if (two) {
                    linear_rows<T, 2>(job, m, row, n, column);
                } else {
                    linear_rows<T, 1>(job, m, row, n, column);
                }
                row += n;
            }
        }
        column += two ? 2 * N : N;
    }
}

template <typename T>
static void slots(const SlotJob<T>& job) {
    using V = typename Wide<T>::V;
    constexpr int N = Wide<T>::N;
    for (int e = 0; e < job.n_rows; ++e) {
        const T* w = job.weights + static_cast<std::ptrdiff_t>(job.slot[e]) * job.n_in * job.n_columns;
        const T* x = job.x + static_cast<std::ptrdiff_t>(e) * job.x_width;
        T* out = job.out + static_cast<std::ptrdiff_t>(e) * job.n_columns;
        for (int c = 0; c < job.n_columns; c += N) {
            V total = job.accumulate ? load(out + c) : V{};
            for (int k = 0; k < job.n_in; ++k) total += set1(x[k]) * load(w + k * job.n_columns + c);
            store(out + c, total);
        }
    }
}

}  // namespace DENSNET_NAMESPACE
}  // namespace engine
}  // namespace densnet

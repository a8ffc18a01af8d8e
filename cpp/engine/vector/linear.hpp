// Products of a few rows with a matrix that stays in the nearest cache.
#pragma once

#include "simd.hpp"

namespace densnet {
namespace engine {
namespace DENSNET_NAMESPACE {

// Rows of the result that stay in registers, with two vectors of each: 32 registers or 16.
constexpr int kMostRows = DENSNET_BYTES == 64 ? 12 : 6;

// ROWS atoms of HARMONICS harmonics × (COLUMNS vectors) of the result stay in registers: where atoms are few,
// several harmonics together hide how long a multiply-add takes.
template <typename T, int HARMONICS, int ROWS, int COLUMNS>
static void linear_block(const LinearJob<T>& job, int m, int row, int column) {
    using V = typename Wide<T>::V;
    constexpr int N = Wide<T>::N;
    V total[HARMONICS][ROWS][COLUMNS];
    const std::ptrdiff_t out_width = job.out_width;
    T* out = job.out + m * job.out_stride + row * out_width + column;
#pragma GCC unroll 8
    for (int h = 0; h < HARMONICS; ++h) {
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 2
            for (int c = 0; c < COLUMNS; ++c) {
                total[h][r][c] = job.accumulate ? load(out + h * job.out_stride + r * out_width + c * N) : V{};
            }
        }
    }
    const T* w = job.weights + column;
    for (int s = 0; s < job.n_sources; ++s) {
        const Source<T>& source = job.sources[s];
        const std::ptrdiff_t width = source.width;
        const T* x[HARMONICS];
#pragma GCC unroll 8
        for (int h = 0; h < HARMONICS; ++h) x[h] = source.data + (m + h) * source.stride + row * width;
        for (int k = 0; k < source.n_in; ++k, w += job.weight_stride) {
            V b[COLUMNS];
#pragma GCC unroll 2
            for (int c = 0; c < COLUMNS; ++c) b[c] = load(w + c * N);
#pragma GCC unroll 8
            for (int h = 0; h < HARMONICS; ++h) {
#pragma GCC unroll 12
                for (int r = 0; r < ROWS; ++r) {
                    const V a = set1(x[h][r * width + k]);
#pragma GCC unroll 2
                    for (int c = 0; c < COLUMNS; ++c) total[h][r][c] += a * b[c];
                }
            }
        }
    }
#pragma GCC unroll 8
    for (int h = 0; h < HARMONICS; ++h) {
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 2
            for (int c = 0; c < COLUMNS; ++c) store(out + h * job.out_stride + r * out_width + c * N, total[h][r][c]);
        }
    }
}

// f(Index<n>()) for an n from LEAST to MOST.
template <int LEAST, int MOST, typename F>
DENSNET_INLINE void with_count(int n, const F& f) {
    if constexpr (LEAST < MOST) {
        if (n > LEAST) return with_count<LEAST + 1, MOST>(n, f);
    }
    f(Index<LEAST>());
}

// Harmonics of so many rows each that fit, five at most.
template <int ROWS>
constexpr int harmonics_at_once() {
    constexpr int fit = kMostRows / ROWS;
    return fit < 1 ? 1 : fit > 5 ? 5 : fit;
}

template <typename T, int COLUMNS>
DENSNET_INLINE void linear_rows(const LinearJob<T>& job, int row, int n, int column) {
    with_count<1, kMostRows>(n, [&](auto rows) DENSNET_LAMBDA {
        constexpr int ROWS = rows.value, most = harmonics_at_once<ROWS>();
        const int n_parts = (job.n_m + most - 1) / most;
        int m = 0;
        for (int part = 0; part < n_parts; ++part) {
            const int count = (job.n_m - m + n_parts - part - 1) / (n_parts - part);
            with_count<1, most>(count, [&](auto harmonics) DENSNET_LAMBDA {
                linear_block<T, harmonics.value, ROWS, COLUMNS>(job, m, row, column);
            });
            m += count;
        }
    });
}

template <typename T>
static void linear(const LinearJob<T>& job) {
    constexpr int N = Wide<T>::N;
    const int n_blocks = (job.n_rows + kMostRows - 1) / kMostRows;
    int column = 0;
    while (column < job.n_columns) {
        const bool two = column + 2 * N <= job.n_columns;
        int row = 0;
        for (int block = 0; block < n_blocks; ++block) {
            const int n = (job.n_rows - row + n_blocks - block - 1) / (n_blocks - block);
            if (two) {
                linear_rows<T, 2>(job, row, n, column);
            } else {
                linear_rows<T, 1>(job, row, n, column);
            }
            row += n;
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

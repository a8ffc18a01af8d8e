// Sums over the edges of a receiver: radial functions times harmonics, and the convolution on pairs of points,
// whose radial functions of a chunk of edges are made where they are used and never leave the cache.
#pragma once

#include "linear.hpp"

namespace densnet {
namespace engine {
namespace DENSNET_NAMESPACE {

// Edges first … first + n − 1 of one receiver.
struct Chunk {
    int first, n;
};

template <typename T, typename F>
DENSNET_INLINE void each_chunk(const EdgeView<T>& edges, int atom, const F& f) {
    for (int first = edges.first[atom]; first < edges.first[atom + 1]; first += kEdgeChunk) {
        const int left = edges.first[atom + 1] - first;
        f(Chunk{first, left < kEdgeChunk ? left : kEdgeChunk});
    }
}

// R^l_c of a chunk, (n, (l_max + 1) width).
template <typename T>
DENSNET_INLINE void radial_of(const EdgeView<T>& edges, Chunk chunk, const T* weights, int n_columns, T* out) {
    const Source<T> source = {edges.radial + static_cast<std::ptrdiff_t>(chunk.first) * edges.radial_width,
                              0, edges.radial_width, edges.radial_width};
    linear<T>({1, chunk.n, n_columns, 1, &source, weights, n_columns, out, 0, n_columns, false});
}

template <typename T>
DENSNET_INLINE void radial_backward(const EdgeView<T>& edges, Chunk chunk, const T* transposed,
                                    int n_columns, const T* gradient) {
    const Source<T> source = {gradient, 0, n_columns, n_columns};
    T* out = edges.radial_gradient + static_cast<std::ptrdiff_t>(chunk.first) * edges.radial_width;
    linear<T>({1, chunk.n, edges.radial_width, 1, &source, transposed, edges.radial_width, out, 0,
               edges.radial_width, true});
}

// f(Index<l>()) for an l from L to MOST.
template <int L, int MOST, typename F>
DENSNET_INLINE void with_l(int l, const F& f) {
    if constexpr (L < MOST) {
        if (l > L) return with_l<L + 1, MOST>(l, f);
    }
    f(Index<L>());
}

// S_lm of one receiver, one l and one vector of radial functions.
template <typename T, int L>
DENSNET_INLINE void sums_of_l(const EdgeView<T>& edges, int atom, int c, T* sums, std::ptrdiff_t stride) {
    using V = typename Wide<T>::V;
    V total[2 * L + 1];
#pragma GCC unroll 16
    for (int m = 0; m < 2 * L + 1; ++m) total[m] = V{};
    for (std::ptrdiff_t e = edges.first[atom]; e < edges.first[atom + 1]; ++e) {
        const T* y = edges.harmonics + e * edges.harmonics_width + L * L;
        const V r = load(edges.radial + e * edges.radial_width + c);
#pragma GCC unroll 16
        for (int m = 0; m < 2 * L + 1; ++m) total[m] += set1(y[m]) * r;
    }
#pragma GCC unroll 16
    for (int m = 0; m < 2 * L + 1; ++m) store(sums + (L * L + m) * stride + c, total[m]);
}

template <typename T>
static void sums_forward(const SumsJob<T>& job) {
    for (int atom = 0; atom < job.edges.n_atoms; ++atom) {
        T* sums = job.sums + static_cast<std::ptrdiff_t>(atom) * job.edges.radial_width;
        for (int l = 0; l <= job.l_max; ++l) {
            with_l<0, kMaxL>(l, [&](auto degree) DENSNET_LAMBDA {
                for (int c = 0; c < job.edges.radial_width; c += Wide<T>::N) {
                    sums_of_l<T, degree.value>(job.edges, atom, c, sums, job.stride);
                }
            });
        }
    }
}

// dR = Σ_lm Y_lm dS_lm and dY_lm = Σ_c R_c dS_lm,c: products of the edges of a receiver with the gradient of
// its sums, and with the transposed one.
template <typename T>
static void sums_backward(const SumsJob<T>& job) {
    constexpr int N = Wide<T>::N;
    const EdgeView<T>& edges = job.edges;
    const int n_m = harmonics_up_to(job.l_max), n_columns = (n_m + N - 1) / N * N, width = edges.radial_width;
    for (int c = 0; c < width; ++c) {
        for (int m = n_m; m < n_columns; ++m) job.scratch[c * n_columns + m] = 0;
    }
    for (int atom = 0; atom < edges.n_atoms; ++atom) {
        const T* gradient = job.sums + static_cast<std::ptrdiff_t>(atom) * width;
        for (int m = 0; m < n_m; ++m) {
            for (int c = 0; c < width; ++c) job.scratch[c * n_columns + m] = gradient[m * job.stride + c];
        }
        const std::ptrdiff_t first = edges.first[atom];
        const int n = edges.first[atom + 1] - edges.first[atom];
        const std::ptrdiff_t harmonics = first * edges.harmonics_width, radial = first * width;
        const Source<T> y = {edges.harmonics + harmonics, 0, edges.harmonics_width, n_m};
        linear<T>({1, n, width, 1, &y, gradient, job.stride, edges.radial_gradient + radial, 0, width, true});
        const Source<T> r = {edges.radial + radial, 0, width, width};
        linear<T>({1, n, n_columns, 1, &r, job.scratch, n_columns, edges.harmonics_gradient + harmonics, 0,
                   edges.harmonics_width, false});
    }
}

// Even and odd parts of Σ_h f_h Y_h on pairs of points, one vector of channels.
template <typename T, int L>
DENSNET_INLINE void evaluate_pairs_of(const PairView<T>& pairs, const T* table, const T* f, std::ptrdiff_t stride,
                                      int width, T* out) {
    using V = typename Wide<T>::V;
    V features[harmonics_up_to(L)];
    each_index<0, harmonics_up_to(L)>([&](auto h) DENSNET_LAMBDA { features[h.value] = load(f + h.value * stride); });
    for (int p = 0; p < pairs.n_pairs; ++p, out += 2 * width) {
        const T* y = table + p * kMaxHarmonics;
        V part[2] = {V{}, V{}};
        each_index<0, harmonics_up_to(L)>([&](auto h) DENSNET_LAMBDA {
            constexpr int parity = l_of(h.value) % 2;
            part[parity] += set1(y[h.value]) * features[h.value];
        });
        store(out, part[0]);
        store(out + width, part[1]);
    }
}

template <typename T>
DENSNET_INLINE void evaluate_pairs(const PairView<T>& pairs, const T* table, int l_max, const T* f,
                                   std::ptrdiff_t stride, int width, T* out) {
    with_l<0, kMaxL>(l_max, [&](auto degree) DENSNET_LAMBDA {
        for (int c = 0; c < width; c += Wide<T>::N) {
            evaluate_pairs_of<T, degree.value>(pairs, table, f + c, stride, width, out + c);
        }
    });
}

// Harmonics h with FIRST ≤ h < END of what is on pairs of points, one vector of channels.
template <typename T, int FIRST, int END>
DENSNET_INLINE void project_pairs_of(const PairView<T>& pairs, const T* table, const T* in, int width, T* f,
                                     std::ptrdiff_t stride) {
    using V = typename Wide<T>::V;
    V total[END - FIRST];
    each_index<FIRST, END>([&](auto h) DENSNET_LAMBDA { total[h.value - FIRST] = V{}; });
    for (int p = 0; p < pairs.n_pairs; ++p, in += 2 * width) {
        const T* y = table + p * kMaxHarmonics;
        const V part[2] = {load(in), load(in + width)};
        each_index<FIRST, END>([&](auto h) DENSNET_LAMBDA {
            constexpr int parity = l_of(h.value) % 2;
            total[h.value - FIRST] += set1(y[h.value]) * part[parity];
        });
    }
    each_index<FIRST, END>([&](auto h) DENSNET_LAMBDA { store(f + h.value * stride, total[h.value - FIRST]); });
}

// As many harmonics at once as there are registers for.
template <typename T, int L, int FIRST = 0>
DENSNET_INLINE void project_pairs_up_to(const PairView<T>& pairs, const T* table, const T* in, int width, T* f,
                                        std::ptrdiff_t stride) {
    constexpr int most = DENSNET_BYTES == 64 ? 25 : 9, left = harmonics_up_to(L) - FIRST;
    project_pairs_of<T, FIRST, FIRST + (left < most ? left : most)>(pairs, table, in, width, f, stride);
    if constexpr (left > most) project_pairs_up_to<T, L, FIRST + most>(pairs, table, in, width, f, stride);
}

template <typename T>
DENSNET_INLINE void project_pairs(const PairView<T>& pairs, const T* table, int l_max, const T* in,
                                  int width, T* f, std::ptrdiff_t stride) {
    with_l<0, kMaxL>(l_max, [&](auto degree) DENSNET_LAMBDA {
        for (int c = 0; c < width; c += Wide<T>::N) {
            project_pairs_up_to<T, degree.value>(pairs, table, in + c, width, f + c, stride);
        }
    });
}

template <typename T>
static void to_pairs(const PairTransformJob<T>& job) {
    const std::ptrdiff_t size = 2 * job.pairs.n_pairs * job.width;
    for (int atom = 0; atom < job.n_atoms; ++atom) {
        evaluate_pairs(job.pairs, job.pairs.harmonics, job.l_max, job.features + atom * job.width,
                       job.stride, job.width, job.on_pairs + atom * size);
    }
}

template <typename T>
static void to_pairs_backward(const PairTransformJob<T>& job) {
    const std::ptrdiff_t size = 2 * job.pairs.n_pairs * job.width;
    for (int atom = 0; atom < job.n_atoms; ++atom) {
        project_pairs(job.pairs, job.pairs.harmonics, job.l_max, job.on_pairs + atom * size, job.width,
                      job.features + atom * job.width, job.stride);
    }
}

// P_l(u · g) for l ≥ 1 on all pairs of points, out[(l − 1) n_padded + p], and its derivative.
template <typename T, bool SLOPES>
DENSNET_INLINE void legendre(const PairView<T>& pairs, int l_max, const T* u, T* out, T* slopes) {
    using V = typename Wide<T>::V;
    const int n = pairs.n_padded;
    const V ux = set1(u[0]), uy = set1(u[1]), uz = set1(u[2]);
    for (int p = 0; p < n; p += Wide<T>::N) {
        const V t = ux * load(pairs.x + p) + uy * load(pairs.x + n + p) + uz * load(pairs.x + 2 * n + p);
        V before = set1(T(1)), value = t, slope_before = V{}, slope = set1(T(1));
        for (int l = 1; l <= l_max; ++l) {
            store(out + (l - 1) * n + p, value);
            if (SLOPES) store(slopes + (l - 1) * n + p, slope);
            // (l + 1) P_{l+1} = (2l + 1) t P_l − l P_{l−1};  P'_{l+1} = P'_{l−1} + (2l + 1) P_l
            const T alpha = T(2 * l + 1) / T(l + 1), beta = T(l) / T(l + 1);
            const V next = set1(alpha) * t * value - set1(beta) * before;
            const V slope_next = slope_before + set1(T(2 * l + 1)) * value;
            before = value;
            value = next;
            slope_before = slope;
            slope = slope_next;
        }
    }
}

// The parts of Σ_l R^l P_l at a pair of points, from P_l there, l ≥ 1.
template <typename T, int L>
DENSNET_INLINE void filter_at(const typename Wide<T>::V* r, const typename Wide<T>::V* p,
                              typename Wide<T>::V& even, typename Wide<T>::V& odd) {
    even = r[0];
    odd = p[0] * r[1];
#pragma GCC unroll 8
    for (int l = 2; l <= L; ++l) {
        if (l % 2 == 0) {
            even += p[l - 1] * r[l];
        } else {
            odd += p[l - 1] * r[l];
        }
    }
}

// One edge, GROUP vectors of channels: total += F h.
template <typename T, int L, int GROUP>
DENSNET_INLINE void convolve(const T* radial, const T* polynomials, const T* h, int n_pairs, int n_padded,
                             std::ptrdiff_t width, T* total) {
    using V = typename Wide<T>::V;
    constexpr int N = Wide<T>::N;
    V r[GROUP][L + 1];
#pragma GCC unroll 2
    for (int g = 0; g < GROUP; ++g) {
#pragma GCC unroll 8
        for (int l = 0; l <= L; ++l) r[g][l] = load(radial + l * width + g * N);
    }
    for (int i = 0; i < n_pairs; ++i, h += 2 * width, total += 2 * width) {
        V p[L];
#pragma GCC unroll 8
        for (int l = 0; l < L; ++l) p[l] = set1(polynomials[l * n_padded + i]);
#pragma GCC unroll 2
        for (int g = 0; g < GROUP; ++g) {
            V even, odd;
            filter_at<T, L>(r[g], p, even, odd);
            const V h_even = load(h + g * N), h_odd = load(h + width + g * N);
            T *sum_even = total + g * N, *sum_odd = sum_even + width;
            store(sum_even, load(sum_even) + even * h_even + odd * h_odd);
            store(sum_odd, load(sum_odd) + even * h_odd + odd * h_even);
        }
    }
}

template <typename T, int L>
static void convolution_forward_of(const ConvolutionJob<T>& job) {
    using V = typename Wide<T>::V;
    constexpr int N = Wide<T>::N;
    const int width = job.width, n_columns = (L + 1) * width, n_pairs = job.pairs.n_pairs;
    const int n_padded = job.pairs.n_padded;
    const std::ptrdiff_t size = 2 * n_pairs * width;
    T* radial = job.scratch;
    T* polynomials = radial + 2 * kEdgeChunk * n_columns;
    T* total = polynomials + 2 * kMaxL * n_padded;
    for (int atom = 0; atom < job.edges.n_atoms; ++atom) {
        for (std::ptrdiff_t i = 0; i < size; i += N) store(total + i, V{});
        each_chunk(job.edges, atom, [&](Chunk chunk) DENSNET_LAMBDA {
            radial_of(job.edges, chunk, job.weights, n_columns, radial);
            for (int e = 0; e < chunk.n; ++e) {
                const std::ptrdiff_t edge = chunk.first + e;
                legendre<T, false>(job.pairs, L, job.edges.unit + 3 * edge, polynomials, nullptr);
                const T* h = job.on_pairs + job.edges.sender[edge] * size;
                const T* r = radial + e * n_columns;
                int c = 0;
                for (; c + 2 * N <= width; c += 2 * N) {
                    convolve<T, L, 2>(r + c, polynomials, h + c, n_pairs, n_padded, width, total + c);
                }
                if (c < width) convolve<T, L, 1>(r + c, polynomials, h + c, n_pairs, n_padded, width, total + c);
            }
        });
        project_pairs(job.pairs, job.pairs.weighted, job.l_out, total, width,
                      job.out + static_cast<std::ptrdiff_t>(atom) * width, job.stride);
    }
}

// What the backward pass of one edge reads and writes, at one place in the channels.
template <typename T>
struct EdgeBackward {
    const T *radial, *polynomials, *slopes, *h, *total;
    T *radial_gradient, *h_gradient;
};

// With G the gradient of the sum on the points of a receiver: dh = F G, dF = h G, dR^l = Σ_p P_l dF,
// d(u · g_p) = Σ_c (Σ_l R^l P'_l) dF, du = Σ_p g_p d(u · g_p).
template <typename T, int L, int GROUP>
DENSNET_INLINE void convolve_backward(const EdgeBackward<T>& at, const PairView<T>& pairs,
                                      std::ptrdiff_t width, typename Wide<T>::V* du) {
    using V = typename Wide<T>::V;
    constexpr int N = Wide<T>::N;
    const int n_padded = pairs.n_padded;
    V r[GROUP][L + 1], dr[GROUP][L + 1];
#pragma GCC unroll 2
    for (int g = 0; g < GROUP; ++g) {
#pragma GCC unroll 8
        for (int l = 0; l <= L; ++l) {
            r[g][l] = load(at.radial + l * width + g * N);
            dr[g][l] = V{};
        }
    }
    V du_x = du[0], du_y = du[1], du_z = du[2];
    for (int i = 0; i < pairs.n_pairs; ++i) {
        V p[L], s[L], dt = V{};
#pragma GCC unroll 8
        for (int l = 0; l < L; ++l) {
            p[l] = set1(at.polynomials[l * n_padded + i]);
            s[l] = set1(at.slopes[l * n_padded + i]);
        }
#pragma GCC unroll 2
        for (int g = 0; g < GROUP; ++g) {
            const std::ptrdiff_t even_at = 2 * i * width + g * N, odd_at = even_at + width;
            const V g_even = load(at.total + even_at), g_odd = load(at.total + odd_at);
            const V h_even = load(at.h + even_at), h_odd = load(at.h + odd_at);
            V even, odd;
            filter_at<T, L>(r[g], p, even, odd);
            store(at.h_gradient + even_at, load(at.h_gradient + even_at) + even * g_even + odd * g_odd);
            store(at.h_gradient + odd_at, load(at.h_gradient + odd_at) + even * g_odd + odd * g_even);
            const V d_even = h_even * g_even + h_odd * g_odd;
            const V d_odd = h_even * g_odd + h_odd * g_even;
            dr[g][0] += d_even;
            dr[g][1] += p[0] * d_odd;
            // P'_1 = 1
            V slope_odd = r[g][1], slope_even = V{};
#pragma GCC unroll 8
            for (int l = 2; l <= L; ++l) {
                if (l % 2 == 0) {
                    dr[g][l] += p[l - 1] * d_even;
                    slope_even += s[l - 1] * r[g][l];
                } else {
                    dr[g][l] += p[l - 1] * d_odd;
                    slope_odd += s[l - 1] * r[g][l];
                }
            }
            dt += slope_odd * d_odd;
            if (L > 1) dt += slope_even * d_even;
        }
        du_x += set1(pairs.x[i]) * dt;
        du_y += set1(pairs.x[n_padded + i]) * dt;
        du_z += set1(pairs.x[2 * n_padded + i]) * dt;
    }
    du[0] = du_x;
    du[1] = du_y;
    du[2] = du_z;
#pragma GCC unroll 2
    for (int g = 0; g < GROUP; ++g) {
#pragma GCC unroll 8
        for (int l = 0; l <= L; ++l) store(at.radial_gradient + l * width + g * N, dr[g][l]);
    }
}

template <typename T, int L>
static void convolution_backward_of(const ConvolutionJob<T>& job) {
    using V = typename Wide<T>::V;
    constexpr int N = Wide<T>::N;
    const int width = job.width, n_columns = (L + 1) * width, n_padded = job.pairs.n_padded;
    const std::ptrdiff_t size = 2 * job.pairs.n_pairs * width;
    T* radial = job.scratch;
    T* gradient = radial + kEdgeChunk * n_columns;
    T* polynomials = gradient + kEdgeChunk * n_columns;
    T* slopes = polynomials + kMaxL * n_padded;
    T* total = slopes + kMaxL * n_padded;
    for (int atom = 0; atom < job.edges.n_atoms; ++atom) {
        evaluate_pairs(job.pairs, job.pairs.weighted, job.l_out,
                       job.out + static_cast<std::ptrdiff_t>(atom) * width, job.stride, width, total);
        each_chunk(job.edges, atom, [&](Chunk chunk) DENSNET_LAMBDA {
            radial_of(job.edges, chunk, job.weights, n_columns, radial);
            for (int e = 0; e < chunk.n; ++e) {
                const std::ptrdiff_t edge = chunk.first + e;
                legendre<T, true>(job.pairs, L, job.edges.unit + 3 * edge, polynomials, slopes);
                const T* h = job.on_pairs + job.edges.sender[edge] * size;
                T* dh = job.on_pairs_gradient + job.edges.sender[edge] * size;
                V du[3] = {V{}, V{}, V{}};
                int c = 0;
                const auto at = [&] {
                    return EdgeBackward<T>{radial + e * n_columns + c,   polynomials, slopes, h + c,
                                           total + c, gradient + e * n_columns + c, dh + c};
                };
                for (; c + 2 * N <= width; c += 2 * N) {
                    convolve_backward<T, L, 2>(at(), job.pairs, width, du);
                }
                if (c < width) convolve_backward<T, L, 1>(at(), job.pairs, width, du);
                for (int axis = 0; axis < 3; ++axis) {
                    job.edges.unit_gradient[3 * edge + axis] += sum<T>(du[axis]);
                }
            }
            radial_backward(job.edges, chunk, job.transposed, n_columns, gradient);
        });
    }
}

template <typename T>
static void convolution_forward(const ConvolutionJob<T>& job) {
    with_l<1, kMaxFilterL>(job.l_filter, [&](auto l) { convolution_forward_of<T, l.value>(job); });
}

template <typename T>
static void convolution_backward(const ConvolutionJob<T>& job) {
    with_l<1, kMaxFilterL>(job.l_filter, [&](auto l) { convolution_backward_of<T, l.value>(job); });
}

}  // namespace DENSNET_NAMESPACE
}  // namespace engine
}  // namespace densnet

// A vector of W doubles for the instruction set that the including source file selects with
// DENSNET_LANES (8: AVX-512, 4: AVX2, 2: whatever the compiler's baseline is), and what the kernels
// need of it. Everything lives in a namespace of its own per instruction set and is inlined, so that
// no code for a wide instruction set can be picked by the linker for a processor without it.
#pragma once

namespace densnet {
namespace DENSNET_NAMESPACE {

#define DENSNET_INLINE static inline __attribute__((always_inline))
#define DENSNET_MEMBER inline __attribute__((always_inline))

constexpr int W = DENSNET_LANES;

#if DENSNET_LANES == 8

using V = __m512d;
using M = __mmask8;

DENSNET_INLINE V set1(double x) { return _mm512_set1_pd(x); }
DENSNET_INLINE V load(const double* p) { return _mm512_loadu_pd(p); }
DENSNET_INLINE void store(double* p, V x) { _mm512_storeu_pd(p, x); }
DENSNET_INLINE void store_first(double* p, V x, int n) {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1u), x);
}
DENSNET_INLINE V load_first(const double* p, int n) {
    return _mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1u), p);
}
// Past the caches; p is aligned to the width of V.
DENSNET_INLINE void stream(double* p, V x) { _mm512_stream_pd(p, x); }
DENSNET_INLINE void stream_fence() { _mm_sfence(); }
DENSNET_INLINE V fma(V a, V b, V c) { return _mm512_fmadd_pd(a, b, c); }
DENSNET_INLINE V fnma(V a, V b, V c) { return _mm512_fnmadd_pd(a, b, c); }
DENSNET_INLINE V max(V a, V b) { return _mm512_max_pd(a, b); }
DENSNET_INLINE V min(V a, V b) { return _mm512_min_pd(a, b); }
DENSNET_INLINE V sqrt(V a) { return _mm512_sqrt_pd(a); }
DENSNET_INLINE M less(V a, V b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
DENSNET_INLINE V select(M m, V yes, V no) { return _mm512_mask_blend_pd(m, no, yes); }
DENSNET_INLINE bool any(M m) { return m != 0; }
DENSNET_INLINE double sum(V a) { return _mm512_reduce_add_pd(a); }
// Multiply x by 2^n, n a vector of whole numbers.
DENSNET_INLINE V scale(V x, V n) { return _mm512_scalef_pd(x, n); }
DENSNET_INLINE V round(V x) {
    return _mm512_roundscale_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

DENSNET_INLINE void transpose(V r[8]) {
    const V a0 = _mm512_unpacklo_pd(r[0], r[1]), a1 = _mm512_unpackhi_pd(r[0], r[1]);
    const V a2 = _mm512_unpacklo_pd(r[2], r[3]), a3 = _mm512_unpackhi_pd(r[2], r[3]);
    const V a4 = _mm512_unpacklo_pd(r[4], r[5]), a5 = _mm512_unpackhi_pd(r[4], r[5]);
    const V a6 = _mm512_unpacklo_pd(r[6], r[7]), a7 = _mm512_unpackhi_pd(r[6], r[7]);
    const V b0 = _mm512_shuffle_f64x2(a0, a2, 0x88), b1 = _mm512_shuffle_f64x2(a1, a3, 0x88);
    const V b2 = _mm512_shuffle_f64x2(a0, a2, 0xdd), b3 = _mm512_shuffle_f64x2(a1, a3, 0xdd);
    const V b4 = _mm512_shuffle_f64x2(a4, a6, 0x88), b5 = _mm512_shuffle_f64x2(a5, a7, 0x88);
    const V b6 = _mm512_shuffle_f64x2(a4, a6, 0xdd), b7 = _mm512_shuffle_f64x2(a5, a7, 0xdd);
    r[0] = _mm512_shuffle_f64x2(b0, b4, 0x88);
    r[1] = _mm512_shuffle_f64x2(b1, b5, 0x88);
    r[2] = _mm512_shuffle_f64x2(b2, b6, 0x88);
    r[3] = _mm512_shuffle_f64x2(b3, b7, 0x88);
    r[4] = _mm512_shuffle_f64x2(b0, b4, 0xdd);
    r[5] = _mm512_shuffle_f64x2(b1, b5, 0xdd);
    r[6] = _mm512_shuffle_f64x2(b2, b6, 0xdd);
    r[7] = _mm512_shuffle_f64x2(b3, b7, 0xdd);
}

// c[k] = table[8 * row + k] lane by lane, row a vector of whole numbers. Whole rows and a transposition
// take a third of the time of eight gathers.
DENSNET_INLINE void gather8(const double* table, V row, V c[8]) {
    alignas(64) long long index[8];
    _mm512_store_epi64(index, _mm512_cvtpd_epi64(row));
    for (int i = 0; i < 8; ++i) c[i] = load(table + 8 * index[i]);
    transpose(c);
}

// Write each of n elements of f MB times: out[MB i + j] = f[i]. Up to 7 values past the end of f are
// read, and up to 7 past the end of out written.
template <int MB>
DENSNET_INLINE void repeat(const double* f, int n, double* out) {
    for (int i = 0; i < n; i += 8) {
        const V x = load(f + i);
        for (int q = 0; q < MB && 8 * q < MB * (n - i); ++q) {
            const __m512i index = _mm512_set_epi64(
                (8 * q + 7) / MB, (8 * q + 6) / MB, (8 * q + 5) / MB, (8 * q + 4) / MB,
                (8 * q + 3) / MB, (8 * q + 2) / MB, (8 * q + 1) / MB, (8 * q) / MB);
            store(out + MB * i + 8 * q, _mm512_permutexvar_pd(index, x));
        }
    }
}

// out[i] = g[i mod MB] for i < n. Up to 7 values past the end of g are read, and up to 7 past the end
// of out written.
template <int MB>
DENSNET_INLINE void tile(const double* g, int n, double* out) {
    const V low = load(g), high = load(g + (MB > 8 ? 8 : 0));
    for (int i = 0; i < n; i += 8 * MB) {
        for (int q = 0; q < MB && i + 8 * q < n; ++q) {
            const __m512i index =
                _mm512_set_epi64((8 * q + 7) % MB, (8 * q + 6) % MB, (8 * q + 5) % MB, (8 * q + 4) % MB,
                                 (8 * q + 3) % MB, (8 * q + 2) % MB, (8 * q + 1) % MB, (8 * q) % MB);
            store(out + i + 8 * q, MB > 8 ? _mm512_permutex2var_pd(low, index, high)
                                          : _mm512_permutexvar_pd(index, low));
        }
    }
}

#elif DENSNET_LANES == 4

using V = __m256d;
using M = __m256d;

DENSNET_INLINE V set1(double x) { return _mm256_set1_pd(x); }
DENSNET_INLINE V load(const double* p) { return _mm256_loadu_pd(p); }
DENSNET_INLINE void store(double* p, V x) { _mm256_storeu_pd(p, x); }
DENSNET_INLINE void stream(double* p, V x) { _mm256_stream_pd(p, x); }
DENSNET_INLINE void stream_fence() { _mm_sfence(); }
DENSNET_INLINE V fma(V a, V b, V c) { return _mm256_fmadd_pd(a, b, c); }
DENSNET_INLINE V fnma(V a, V b, V c) { return _mm256_fnmadd_pd(a, b, c); }
DENSNET_INLINE V max(V a, V b) { return _mm256_max_pd(a, b); }
DENSNET_INLINE V min(V a, V b) { return _mm256_min_pd(a, b); }
DENSNET_INLINE V sqrt(V a) { return _mm256_sqrt_pd(a); }
DENSNET_INLINE M less(V a, V b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
DENSNET_INLINE V select(M m, V yes, V no) { return _mm256_blendv_pd(no, yes, m); }
DENSNET_INLINE bool any(M m) { return _mm256_movemask_pd(m) != 0; }
DENSNET_INLINE V round(V x) {
    return _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
DENSNET_INLINE V scale(V x, V n) {
    const __m256i k = _mm256_cvtepi32_epi64(_mm256_cvtpd_epi32(n));
    const __m256i bits = _mm256_slli_epi64(_mm256_add_epi64(k, _mm256_set1_epi64x(1023)), 52);
    return _mm256_mul_pd(x, _mm256_castsi256_pd(bits));
}
DENSNET_INLINE void transpose(V r[4]) {
    const V a0 = _mm256_unpacklo_pd(r[0], r[1]), a1 = _mm256_unpackhi_pd(r[0], r[1]);
    const V a2 = _mm256_unpacklo_pd(r[2], r[3]), a3 = _mm256_unpackhi_pd(r[2], r[3]);
    r[0] = _mm256_permute2f128_pd(a0, a2, 0x20);
    r[1] = _mm256_permute2f128_pd(a1, a3, 0x20);
    r[2] = _mm256_permute2f128_pd(a0, a2, 0x31);
    r[3] = _mm256_permute2f128_pd(a1, a3, 0x31);
}
DENSNET_INLINE void gather8(const double* table, V row, V c[8]) {
    const __m128i index = _mm_slli_epi32(_mm256_cvtpd_epi32(row), 3);
    const int i0 = _mm_extract_epi32(index, 0), i1 = _mm_extract_epi32(index, 1);
    const int i2 = _mm_extract_epi32(index, 2), i3 = _mm_extract_epi32(index, 3);
    for (int h = 0; h < 8; h += 4) {
        c[h] = load(table + i0 + h);
        c[h + 1] = load(table + i1 + h);
        c[h + 2] = load(table + i2 + h);
        c[h + 3] = load(table + i3 + h);
        transpose(c + h);
    }
}

#else

typedef double V __attribute__((vector_size(16)));
typedef long long M __attribute__((vector_size(16)));

DENSNET_INLINE V set1(double x) { return V{x, x}; }
DENSNET_INLINE V load(const double* p) { return V{p[0], p[1]}; }
DENSNET_INLINE void store(double* p, V x) {
    p[0] = x[0];
    p[1] = x[1];
}
DENSNET_INLINE void stream(double* p, V x) { store(p, x); }
DENSNET_INLINE void stream_fence() {}
DENSNET_INLINE V fma(V a, V b, V c) { return a * b + c; }
DENSNET_INLINE V fnma(V a, V b, V c) { return c - a * b; }
DENSNET_INLINE M less(V a, V b) { return a < b; }
DENSNET_INLINE V select(M m, V yes, V no) { return m ? yes : no; }
DENSNET_INLINE V max(V a, V b) { return select(less(a, b), b, a); }
DENSNET_INLINE V min(V a, V b) { return select(less(a, b), a, b); }
DENSNET_INLINE V sqrt(V a) { return V{__builtin_sqrt(a[0]), __builtin_sqrt(a[1])}; }
DENSNET_INLINE bool any(M m) { return (m[0] | m[1]) != 0; }
// Adding and subtracting 1.5·2^52 rounds to the nearest whole number.
DENSNET_INLINE V round(V x) {
    const V magic = set1(6755399441055744.0);
    return (x + magic) - magic;
}
DENSNET_INLINE V scale(V x, V n) {
    const M k = {static_cast<long long>(n[0]), static_cast<long long>(n[1])};
    const M bits = (k + 1023) << 52;
    V power;
    __builtin_memcpy(&power, &bits, sizeof(V));
    return x * power;
}
DENSNET_INLINE void transpose(V r[2]) {
    const V a = {r[0][0], r[1][0]}, b = {r[0][1], r[1][1]};
    r[0] = a;
    r[1] = b;
}
DENSNET_INLINE void gather8(const double* table, V row, V c[8]) {
    const double* a = table + 8 * static_cast<long long>(row[0]);
    const double* b = table + 8 * static_cast<long long>(row[1]);
    for (int k = 0; k < 8; ++k) c[k] = V{a[k], b[k]};
}

#endif

#if DENSNET_LANES != 8

DENSNET_INLINE void store_first(double* p, V x, int n) {
    for (int i = 0; i < n; ++i) p[i] = x[i];
}
DENSNET_INLINE V load_first(const double* p, int n) {
    V x = set1(0.0);
    for (int i = 0; i < n; ++i) x[i] = p[i];
    return x;
}
DENSNET_INLINE double sum(V a) {
    double total = 0.0;
    for (int i = 0; i < W; ++i) total += a[i];
    return total;
}
template <int MB>
DENSNET_INLINE void repeat(const double* f, int n, double* out) {
    for (int i = 0; i < n; ++i) {
        const V x = set1(f[i]);
        for (int q = 0; q < MB; q += W) store(out + MB * i + q, x);
    }
}
template <int MB>
DENSNET_INLINE void tile(const double* g, int n, double* out) {
    V x[(MB + W - 1) / W];
    for (int q = 0; q < MB; q += W) x[q / W] = load(g + q);
    for (int i = 0; i < n; i += MB) {
        for (int q = 0; q < MB; q += W) store(out + i + q, x[q / W]);
    }
}

#endif

// e^x for x ≤ 0, within 2 units in the last place; 0 below −700. x = n ln 2 + r, |r| ≤ ln 2 / 2, and
// the Taylor series of degree 13 of e^r.
DENSNET_INLINE V exponential(V x) {
    const M alive = less(set1(-700.0), x);
    const V y = max(x, set1(-700.0));
    const V n = round(y * set1(1.4426950408889634074));
    const V r = fnma(n, set1(1.90821492927058770002e-10), fnma(n, set1(0.693147180369123816490), y));
    // Neighbouring terms first: the chain of dependent operations is half as long as Horner's.
    const V r2 = r * r, r4 = r2 * r2;
    const V c01 = fma(set1(1.0), r, set1(1.0));
    const V c23 = fma(set1(1.6666666666666665741e-1), r, set1(0.5));
    const V c45 = fma(set1(8.3333333333333332177e-3), r, set1(4.1666666666666664354e-2));
    const V c67 = fma(set1(1.9841269841269841253e-4), r, set1(1.3888888888888889419e-3));
    const V c89 = fma(set1(2.7557319223985892511e-6), r, set1(2.4801587301587301566e-5));
    const V cab = fma(set1(2.5052108385441718775e-8), r, set1(2.7557319223985890653e-7));
    const V ccd = fma(set1(1.6059043836821614599e-10), r, set1(2.0876756987868098979e-9));
    const V low = fma(c23, r2, c01), middle = fma(c67, r2, c45), high = fma(cab, r2, c89);
    const V s = fma(fma(fma(ccd, r4, high), r4, middle), r4, low);
    return select(alive, scale(s, n), set1(0.0));
}

}  // namespace DENSNET_NAMESPACE
}  // namespace densnet

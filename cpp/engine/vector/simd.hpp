// Vectors of DENSNET_BYTES bytes of float or double, for the instruction set that the including file
// selects. All in a namespace of its own per instruction set and inlined.
#pragma once

namespace densnet {
namespace engine {
namespace DENSNET_NAMESPACE {

#define DENSNET_INLINE static inline __attribute__((always_inline))
#define DENSNET_MEMBER inline __attribute__((always_inline))
#define DENSNET_LAMBDA __attribute__((always_inline))

template <typename T>
struct Wide;
template <>
struct Wide<float> {
    typedef float V __attribute__((vector_size(DENSNET_BYTES)));
    static constexpr int N = DENSNET_BYTES / 4;
};
template <>
struct Wide<double> {
    typedef double V __attribute__((vector_size(DENSNET_BYTES)));
    static constexpr int N = DENSNET_BYTES / 8;
};

template <typename T>
DENSNET_INLINE typename Wide<T>::V load(const T* p) {
    typename Wide<T>::V v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
}
template <typename T, typename V>
DENSNET_INLINE void store(T* p, V v) {
    __builtin_memcpy(p, &v, sizeof(v));
}
// x - 0 is x for every x, so that this is a broadcast and nothing else.
template <typename T>
DENSNET_INLINE typename Wide<T>::V set1(T x) {
    return x - typename Wide<T>::V{};
}
template <typename T, typename V>
DENSNET_INLINE T sum(V v) {
    T x[Wide<T>::N];
    store(x, v);
#pragma GCC unroll 4
    for (int n = Wide<T>::N / 2; n > 0; n /= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < n; ++i) x[i] += x[i + n];
    }
    return x[0];
}

// A whole number that the compiler knows, as an argument.
template <int I>
struct Index {
    static constexpr int value = I;
};

// f(Index<FIRST>()) … f(Index<END − 1>()), written out whatever the optimiser thinks of it.
template <int FIRST, int END, typename F>
DENSNET_INLINE void each_index(const F& f) {
    if constexpr (FIRST < END) {
        f(Index<FIRST>());
        each_index<FIRST + 1, END>(f);
    }
}

constexpr int harmonics_up_to(int l) { return (l + 1) * (l + 1); }
constexpr int l_of(int h) {
    int l = 0;
    while ((l + 1) * (l + 1) <= h) ++l;
    return l;
}

}  // namespace DENSNET_NAMESPACE
}  // namespace engine
}  // namespace densnet

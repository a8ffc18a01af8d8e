// The border to the vectorised loops of the engine, compiled once per instruction set and chosen at
// run time. As in the integral kernel only plain pointers and plain structures cross it.
//
// T is float or double. Arrays of features are harmonic-major: harmonic m of atom a begins at
// data + m · stride + a · width, and `width` values follow, a multiple of 64 bytes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace densnet {
namespace engine {

// Highest l of the density, and of the filter of a convolution. Under the sanitizers each copy of the
// loops takes minutes to compile; their checks need no more than l = 2.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kMaxL = 2, kMaxFilterL = 2;
#else
constexpr int kMaxL = 6, kMaxFilterL = 4;
#endif
constexpr int kMaxHarmonics = (kMaxL + 1) * (kMaxL + 1);
// The same up to whole vectors.
constexpr int kMaxHarmonicsPadded = (kMaxHarmonics + 15) / 16 * 16;
constexpr int kLineBytes = 64;
// Of double, in the widest vector.
constexpr int kMaxLanes = 8;
// Edges that are evaluated together.
constexpr int kEdgeChunk = 12;

template <typename T>
struct Source {
    const T* data;
    std::ptrdiff_t stride;
    int width;
    int n_in;
};

// out[m, a, :] (+)= Σ_sources x[m, a, :] W, the rows of W one source after the other.
template <typename T>
struct LinearJob {
    int n_m;
    int n_rows;
    int n_columns;
    int n_sources;
    const Source<T>* sources;
    const T* weights;
    std::ptrdiff_t weight_stride;
    T* out;
    std::ptrdiff_t out_stride;
    int out_width;
    bool accumulate;
};

// out[e, :] (+)= x[e, :] W_slot(e), a matrix of its own for every row.
template <typename T>
struct SlotJob {
    int n_rows;
    int n_in;
    int n_columns;
    const int* slot;
    const T* x;
    int x_width;
    const T* weights;  // (n_slots, n_in, n_columns)
    T* out;
    bool accumulate;
};

// Points of a rule that is symmetric under sign changes of x, y and z, one point of each orbit.
// mask: bit 0, 1, 2 set where x, y, z of the point is not zero; the orbit has 2^bits points.
template <typename T>
struct OrbitView {
    int n_orbits;
    const int* masks;
    const T* harmonics;  // (n_orbits, kMaxHarmonics)
    const T* weighted;   // the same times the weight of a point
};

// a, b, c on the sphere, a·b and a·b·c, and back.
template <typename T>
struct ProductJob {
    OrbitView<T> orbits;
    int l_in;      // of a, b, c
    int l_triple;  // a·b·c and `low` go so far
    int l_pair;    // a·b and `high` go so far
    int n_atoms;
    int n_channels;
    const T* factors;  // 3 n_channels wide
    std::ptrdiff_t factors_stride;
    const T* scale;  // (n_species, 3 n_channels)
    const int* species;
    // Forward: written. Backward: their gradient, read. low: a, a·b, a·b·c; high, from l_triple + 1
    // on: a (up to l_in) and a·b.
    T* low;
    std::ptrdiff_t low_stride;
    T* high;
    std::ptrdiff_t high_stride;
    T* factors_gradient;  // strides of factors
};

// One of each pair of opposite points of a rule.
template <typename T>
struct PairView {
    int n_pairs;
    int n_padded;        // n_pairs, up to a multiple of 64 bytes
    const T* x;          // (3, n_padded)
    const T* harmonics;  // (n_pairs, kMaxHarmonics)
    const T* weighted;   // the same times the weight of both points
};

// Features to their even and odd parts on pairs of points, (n_atoms, n_pairs, 2, width), and back.
template <typename T>
struct PairTransformJob {
    PairView<T> pairs;
    int l_max;
    int n_atoms;
    int width;
    T* features;
    std::ptrdiff_t stride;
    T* on_pairs;
};

// Harmonics of the directions of edges, and the gradient with respect to directions.
template <typename T>
struct HarmonicsJob {
    int n_edges;
    int n_padded;  // a multiple of kMaxLanes; unit vectors behind the last edge are of unit length
    int l_max;
    const double* norms;  // (kMaxL + 1, kMaxL + 1)
    const double* unit;   // (3, n_padded)
    int width;
    T* values;              // forward: (n_edges, width), written
    const T* gradient;      // backward: (n_edges, width), read
    double* unit_gradient;  // backward: (3, n_padded), written
};

// The edges of a block: those of receiver a are first[a] … first[a + 1] - 1.
template <typename T>
struct EdgeView {
    int n_atoms;
    const int* first;
    const int* sender;
    const T* unit;       // (n_edges, 3)
    const T* harmonics;  // (n_edges, harmonics_width)
    int harmonics_width;
    const T* radial;     // (n_edges, radial_width), contracted functions
    int radial_width;
    // Backward: gradients, added to.
    T* unit_gradient;
    T* harmonics_gradient;  // of the sums alone: written
    T* radial_gradient;
};

// S_lm = Σ_j R(r_ij) Y_lm(r̂_ij), as wide as the radial functions.
template <typename T>
struct SumsJob {
    EdgeView<T> edges;
    int l_max;
    T* sums;  // forward: written; backward: gradient, read
    std::ptrdiff_t stride;
    T* scratch;  // backward: (radial_width, kMaxHarmonicsPadded)
};

// Σ_j [Σ_l R^l(r_ij) P_l(r̂_ij · g)] h_j(g) and back to harmonics.
template <typename T>
struct ConvolutionJob {
    EdgeView<T> edges;
    PairView<T> pairs;
    int l_filter;
    int l_out;
    int width;
    const T* weights;
    const T* transposed;
    const T* on_pairs;     // h, (n_atoms, n_pairs, 2, width)
    T* on_pairs_gradient;  // backward: added to
    T* out;                // forward: written; backward: gradient, read
    std::ptrdiff_t stride;
    T* scratch;
};

// Values of T in the scratch of ConvolutionJob.
std::size_t edge_scratch_size(int l_max, int width, int n_padded);

template <typename T>
struct Kernels {
    const char* name;
    void (*linear)(const LinearJob<T>& job);
    void (*slots)(const SlotJob<T>& job);
    void (*harmonics_forward)(const HarmonicsJob<T>& job);
    void (*harmonics_backward)(const HarmonicsJob<T>& job);
    void (*product_forward)(const ProductJob<T>& job);
    void (*product_backward)(const ProductJob<T>& job);
    void (*to_pairs)(const PairTransformJob<T>& job);
    // d features from d on_pairs
    void (*to_pairs_backward)(const PairTransformJob<T>& job);
    void (*sums_forward)(const SumsJob<T>& job);
    void (*sums_backward)(const SumsJob<T>& job);
    void (*convolution_forward)(const ConvolutionJob<T>& job);
    void (*convolution_backward)(const ConvolutionJob<T>& job);
};

struct KernelSet {
    Kernels<float> single;
    Kernels<double> twice;
    template <typename T>
    const Kernels<T>& of() const;
};
template <>
inline const Kernels<float>& KernelSet::of<float>() const {
    return single;
}
template <>
inline const Kernels<double>& KernelSet::of<double>() const {
    return twice;
}

// From the widest that this processor has to the baseline; the first is used unless use_kernels
// chose another (to test it). Not for a call in progress.
const std::vector<const KernelSet*>& available_kernels();
const KernelSet& kernels();
void use_kernels(const std::string& name);

}  // namespace engine
}  // namespace densnet

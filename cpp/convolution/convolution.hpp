// Sums over edges of products on the sphere, and their derivatives: the work of a convolution.
//
// All forms derive from one number, linear in each of its four arguments,
//
//     Φ(G, R, P, H) = Σ_e Σ_p Σ_c G[p, i(e), c] · F_e[p, c] · H[p, j(e), c],
//     F_e[p, c] = Σ_l P[e, l, p] R[e, l, c],
//
// with e an edge from sender j to receiver i, p a point of the sphere, c a channel. F_e exists only
// in cache, a row of channels at a time; nothing of the size edges × points × channels is stored.
#pragma once

#include <cstdint>

namespace densnet {

constexpr std::int64_t kMaxFilterDegrees = 6;

struct EdgeSizes {
    std::int64_t n_edges, n_l, n_points, n_nodes, n_channels;
};

template <typename Real>
struct ConvolutionKernels {
    // result[p, to[e], c] += F_e[p, c] · values[p, from[e], c]: ∂Φ/∂G, or ∂Φ/∂H with the ends swapped.
    void (*sum)(const EdgeSizes& sizes, const Real* radial, const Real* polynomials,
                const Real* values, const std::int64_t* from, const std::int64_t* to, Real* result);

    // result[e, l, c] = Σ_p P G H = ∂Φ/∂R.
    void (*by_radial)(const EdgeSizes& sizes, const Real* polynomials, const Real* at_receivers,
                      const Real* at_senders, const std::int64_t* receivers,
                      const std::int64_t* senders, Real* result);

    // result[e, l, p] = Σ_c R G H = ∂Φ/∂P.
    void (*by_polynomials)(const EdgeSizes& sizes, const Real* radial, const Real* at_receivers,
                           const Real* at_senders, const std::int64_t* receivers,
                           const std::int64_t* senders, Real* result);
};

struct ConvolutionSet {
    const char* name;
    ConvolutionKernels<float> single;
    ConvolutionKernels<double> twice;
};

// Those of the widest instruction set that this processor has.
const ConvolutionSet& convolution_set();

}  // namespace densnet

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

struct EdgeSizes {
    std::int64_t n_edges, n_l, n_points, n_nodes, n_channels;
};

template <typename Real>
struct ConvolutionKernels {
    const char* name;

    // result[p, to[e], c] += F_e[p, c] · values[p, from[e], c]: ∂Φ/∂G, or ∂Φ/∂H with the ends swapped.
    void (*sum)(const EdgeSizes& sizes, const Real* radial, const Real* polynomials,
                const Real* values, const std::int64_t* from, const std::int64_t* to, Real* result);

    // radial_out[e, l, c] = Σ_p P G H = ∂Φ/∂R and polynomials_out[e, l, p] = Σ_c R G H = ∂Φ/∂P; either
    // result may be null, and then its partner argument too.
    void (*edges)(const EdgeSizes& sizes, const Real* radial, const Real* polynomials,
                  const Real* at_receivers, const Real* at_senders, const std::int64_t* receivers,
                  const std::int64_t* senders, Real* radial_out, Real* polynomials_out);
};

// Those of the widest instruction set that this processor has.
template <typename Real>
const ConvolutionKernels<Real>& convolution_kernels();

}  // namespace densnet

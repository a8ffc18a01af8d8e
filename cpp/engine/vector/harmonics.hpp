// Real spherical harmonics with the norm 4π of a vector of directions, and their gradients.
//
// Y_lm = N_lm Q_lm(z) Re or Im (x + iy)^|m| with Q_lm = d^|m| P_l / dz^|m|; gradients are those of this
// polynomial, which equals Y_lm on the sphere.
#pragma once

#include "simd.hpp"

namespace densnet {
namespace engine {
namespace DENSNET_NAMESPACE {

using Lanes = Wide<double>::V;
constexpr int kLanes = Wide<double>::N;

// f(h, Y_h, ∂Y_h/∂x, ∂Y_h/∂y, ∂Y_h/∂z) for every harmonic up to l_max.
template <typename F>
DENSNET_INLINE void each_harmonic(int l_max, const double* norms, Lanes x, Lanes y, Lanes z, const F& f) {
    // Row k holds Q_lk for all l, and row k + 1 their slopes: the rows of two k are enough.
    Lanes rows[2][kMaxL + 1];
    for (int l = 0; l <= l_max; ++l) rows[0][l] = rows[1][l] = Lanes{};
    rows[0][0] = set1(1.0);
    for (int l = 0; l < l_max; ++l) {
        const Lanes before = l > 0 ? rows[0][l - 1] : Lanes{};
        rows[0][l + 1] = (set1((2.0 * l + 1.0) / (l + 1.0)) * z) * rows[0][l] - set1(l / (l + 1.0)) * before;
    }
    Lanes cosine = set1(1.0), sine = Lanes{}, cosine_before = Lanes{}, sine_before = Lanes{};
    for (int k = 0; k <= l_max; ++k) {
        const Lanes* q = rows[k % 2];
        Lanes* slopes = rows[(k + 1) % 2];
        // dQ_lk/dz: Q'_{l+1} = Q'_{l−1} + (2l + 1) Q_l holds for every derivative of P_l.
        for (int l = 0; l <= l_max; ++l) {
            slopes[l] = l <= k ? Lanes{} : (l > 1 ? slopes[l - 2] : Lanes{}) + set1(2.0 * l - 1.0) * q[l - 1];
        }
        const Lanes degree = set1(static_cast<double>(k));
        for (int l = k; l <= l_max; ++l) {
            const Lanes norm = set1(norms[l * (kMaxL + 1) + k]);
            const Lanes along = norm * q[l], slope = norm * slopes[l], turned = along * degree;
            const int h = l * l + l;
            f(h + k, along * cosine, turned * cosine_before, -turned * sine_before, slope * cosine);
            if (k > 0) f(h - k, along * sine, turned * sine_before, turned * cosine_before, slope * sine);
        }
        cosine_before = cosine;
        sine_before = sine;
        cosine = x * cosine_before - y * sine_before;
        sine = x * sine_before + y * cosine_before;
    }
}

template <typename T>
static void harmonics_forward(const HarmonicsJob<T>& job) {
    const int n = job.n_padded;
    for (int e = 0; e < job.n_edges; e += kLanes) {
        const int n_lanes = job.n_edges - e < kLanes ? job.n_edges - e : kLanes;
        T* row = job.values + static_cast<std::ptrdiff_t>(e) * job.width;
        each_harmonic(job.l_max, job.norms, load(job.unit + e), load(job.unit + n + e),
                      load(job.unit + 2 * n + e), [&](int h, Lanes value, Lanes, Lanes, Lanes) DENSNET_LAMBDA {
                          for (int lane = 0; lane < n_lanes; ++lane) {
                              row[lane * job.width + h] = static_cast<T>(value[lane]);
                          }
                      });
    }
}

template <typename T>
static void harmonics_backward(const HarmonicsJob<T>& job) {
    const int n = job.n_padded;
    for (int e = 0; e < job.n_edges; e += kLanes) {
        const int n_lanes = job.n_edges - e < kLanes ? job.n_edges - e : kLanes;
        const T* row = job.gradient + static_cast<std::ptrdiff_t>(e) * job.width;
        Lanes total[3] = {Lanes{}, Lanes{}, Lanes{}};
        each_harmonic(job.l_max, job.norms, load(job.unit + e), load(job.unit + n + e),
                      load(job.unit + 2 * n + e),
                      [&](int h, Lanes, Lanes by_x, Lanes by_y, Lanes by_z) DENSNET_LAMBDA {
                          double d[kLanes] = {};
                          for (int lane = 0; lane < n_lanes; ++lane) d[lane] = row[lane * job.width + h];
                          const Lanes of_h = load(d);
                          total[0] += of_h * by_x;
                          total[1] += of_h * by_y;
                          total[2] += of_h * by_z;
                      });
        for (int axis = 0; axis < 3; ++axis) store(job.unit_gradient + axis * n + e, total[axis]);
    }
}

}  // namespace DENSNET_NAMESPACE
}  // namespace engine
}  // namespace densnet

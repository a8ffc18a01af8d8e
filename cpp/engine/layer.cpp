// One layer of either network: a convolution, a product on the sphere, a skip connection.
#include "network.hpp"

#include <cmath>

namespace densnet {
namespace engine {

namespace {

double bits(int mask) { return (mask & 1) + (mask >> 1 & 1) + (mask >> 2 & 1); }

// Operations of one transform between harmonics and the points of all orbits.
template <typename T>
double transform_operations(const Orbits<T>& orbits, int l) {
    double total = 0.0;
    for (const int mask : orbits.masks) {
        // Harmonics that do not vanish where some coordinates are zero, and the butterfly.
        double alive = 0.0;
        for (int h = 0; h < n_harmonics(l); ++h) {
            int degree = 0;
            while (n_harmonics(degree) <= h) ++degree;
            const int m = h - degree * degree - degree, k = std::abs(m);
            const int parity = (m < 0 ? (k + 1) % 2 : k % 2) + (m < 0 ? 2 : 0) + 4 * ((degree - k) % 2);
            if ((parity & ~mask) == 0) alive += 1.0;
        }
        total += 2.0 * alive + bits(mask) * std::exp2(bits(mask));
    }
    return total;
}

template <typename T>
double point_count(const Orbits<T>& orbits) {
    double total = 0.0;
    for (const int mask : orbits.masks) total += std::exp2(bits(mask));
    return total;
}

}  // namespace

// Run a product's kernel, on atoms together whose read-outs need equally many harmonics of it. Operations
// are counted: n_in transforms of factors, one each of low and high, and n_points at every point.
template <typename T>
template <typename Run>
void Network<T>::for_products(const Layer<T>& layer, const LayerState& state, int l_readout, double n_in,
                              double n_points, const Field<T>& low, const Field<T>& high,
                              const Field<T>* factors_gradient, const Run& run) {
    const Product<T>& p = layer.product;
    const auto l_of = [&](int s) { return std::max(p.l_low, std::min(l_readout, w_.l_components[s])); };
    const int n_species = w_.sizes.n_species;
    for (int s = 0; s < n_species;) {
        int next = s + 1;
        while (next < n_species && l_of(next) == l_of(s)) ++next;
        const int first = block_.first_of[s], n = block_.first_of[next] - first, l_pair = l_of(s);
        s = next;
        if (n == 0) continue;
        const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(first) * p.n_channels;
        ProductJob<T> job{};
        job.orbits = p.orbits.view();
        job.l_in = p.l_in;
        job.l_triple = p.l_low;
        job.l_pair = l_pair;
        job.n_atoms = n;
        job.n_channels = p.n_channels;
        job.factors = state.factors.data + 3 * at;
        job.factors_stride = state.factors.stride;
        job.scale = p.scale.data();
        job.species = block_.species.data() + first;
        job.low = low.data + 3 * at;
        job.low_stride = low.stride;
        job.high = high.data + 2 * at;
        job.high_stride = high.stride;
        // The kernel strides alike through factors and their gradient: both are fields of one shape.
        if (factors_gradient != nullptr) job.factors_gradient = factors_gradient->data + 3 * at;
        const double operations = n_in * transform_operations(p.orbits, p.l_in) + n_points * point_count(p.orbits) +
                                  transform_operations(p.orbits, p.l_low) + transform_operations(p.orbits, l_pair);
        costs_.count(kProduct, operations * n * p.n_channels, [&] { run(job); });
    }
}

// out ← product([moving, fixed]) + W features; features null in a first layer, whose features are the fixed.
// A final layer ends with the product itself.
template <typename T>
void Network<T>::layer_forward(const Layer<T>& layer, const Field<T>& fixed, const Field<T>* features,
                               const T* radial, bool final, LayerState& state) {
    const Product<T>& p = layer.product;
    const int wide = p.n_channels;
    const Field<T>* moving = features;
    if (layer.kind == LayerKind::interaction) {
        const PairView<T> pairs = layer.pairs[0].view();
        const Field<T> mixed = field(n_harmonics(layer.l_features), wide);
        for (int l = 0; l <= layer.l_features; ++l) {
            if (features == nullptr) {
                fixed_forward(layer.mix_fixed, fixed, l, mixed);
                continue;
            }
            const Source<T> source = {features->at(l * l), features->stride, wide, wide};
            linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, layer.mix.forward_of(l), wide, wide,
                   mixed.at(l * l), mixed.stride, wide, false);
        }
        const std::size_t size = 2 * static_cast<std::size_t>(pairs.n_pairs) * wide;
        state.on_pairs = arena_.take<T>(n_ * size);
        state.neighbours = field(n_harmonics(layer.l_filter), wide);
        moving = &state.neighbours;
        T* scratch = arena_.take<T>(edge_scratch_size(layer.l_filter, wide, pairs.n_padded));
        const double of_node = 2.0 * pairs.n_pairs * wide * (n_harmonics(layer.l_features) + n_harmonics(layer.l_filter));
        const double of_edge = 2.0 * w_.n_contracted * (layer.l_filter + 1) * wide +
                               pairs.n_pairs * wide * (2.0 * layer.l_filter + 8.0);
        costs_.count(kConvolution, n_ * of_node + n_edges_ * of_edge, [&] {
            kernels_.to_pairs({pairs, layer.l_features, n_, wide, mixed.data, mixed.stride, state.on_pairs});
            kernels_.convolution_forward({edge_view(radial, nullptr), pairs, layer.l_filter, layer.l_filter,
                                          wide, layer.filter.forward.data(), layer.filter.backward.data(),
                                          state.on_pairs, nullptr, state.neighbours.data,
                                          state.neighbours.stride, scratch});
        });
    }
    state.factors = field(n_harmonics(p.l_in), 3 * wide);
    for (int l = 0; l <= p.l_in; ++l) {
        const bool sees_fixed = l >= p.l_fixed;
        if (sees_fixed) fixed_forward(p.factors_fixed, fixed, l, state.factors);
        if (l > p.l_moving) continue;
        const Source<T> source = {moving->at(l * l), moving->stride, wide, wide};
        linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, p.factors.forward_of(l), 3 * wide, 3 * wide,
               state.factors.at(l * l), state.factors.stride, 3 * wide, sees_fixed);
    }
    const int n_low = n_harmonics(p.l_low);
    state.low = field(n_low, 3 * wide);
    state.high = field(n_harmonics(p.l_readout) - n_low, 2 * wide);
    for_products(layer, state, p.l_readout, 3.0, 2.0, state.low, state.high, nullptr,
                 [&](const ProductJob<T>& job) { kernels_.product_forward(job); });
    if (final) return;
    state.out = field(n_low, wide);
    for (int l = 0; l <= p.l_low; ++l) {
        const bool skip = !p.skip_fixed.empty();
        if (skip) fixed_forward(p.skip_fixed, fixed, l, state.out);
        Source<T> sources[2] = {{state.low.at(l * l), state.low.stride, 3 * wide, 3 * wide}, {}};
        if (features != nullptr) sources[1] = {features->at(l * l), features->stride, wide, wide};
        linear(kernels_, kLinear, 2 * l + 1, 0, n_, sources, features != nullptr ? 2 : 1, p.low.forward_of(l), wide,
               wide, state.out.at(l * l), state.out.stride, wide, skip);
    }
}

// From state.gradient (of state.out), or in a final layer state.low_gradient, and state.high_gradient, up to
// l_readout, to the gradients of all that the layer has seen, added there.
template <typename T>
void Network<T>::layer_backward(const Layer<T>& layer, const Field<T>& fixed_gradient,
                                const Field<T>* features_gradient, const T* radial, T* radial_gradient,
                                int l_readout, bool final, const LayerState& state) {
    const Product<T>& p = layer.product;
    const int wide = p.n_channels;
    Field<T> low = state.low_gradient;
    if (!final) {
        low = field(n_harmonics(p.l_low), 3 * wide);
        for (int l = 0; l <= p.l_low; ++l) {
            const Source<T> source = {state.gradient.at(l * l), state.gradient.stride, wide, wide};
            linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, p.low.backward_of(l), 3 * wide, p.low.n_in,
                   low.at(l * l), low.stride, 3 * wide, false);
            if (!p.skip_fixed.empty()) fixed_backward(p.skip_fixed, state.gradient, l, fixed_gradient);
            if (features_gradient == nullptr) continue;
            linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, p.low.backward_of(l) + 3 * wide, wide,
                   p.low.n_in, features_gradient->at(l * l), features_gradient->stride, wide, true);
        }
    }
    const Field<T> factors_gradient = field(n_harmonics(p.l_in), 3 * wide);
    for_products(layer, state, l_readout, 6.0, 6.0, low, state.high_gradient, &factors_gradient,
                 [&](const ProductJob<T>& job) { kernels_.product_backward(job); });

    const bool exchanging = layer.kind == LayerKind::interaction;
    const Field<T> neighbours_gradient = field(exchanging ? n_harmonics(layer.l_filter) : 0, wide);
    for (int l = 0; l <= p.l_in; ++l) {
        if (l >= p.l_fixed) fixed_backward(p.factors_fixed, factors_gradient, l, fixed_gradient);
        if (l > p.l_moving) continue;
        const Source<T> source = {factors_gradient.at(l * l), factors_gradient.stride, 3 * wide, 3 * wide};
        const Field<T>& into = exchanging ? neighbours_gradient : *features_gradient;
        linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, p.factors.backward_of(l), wide, wide, into.at(l * l),
               into.stride, wide, !exchanging);
    }
    if (!exchanging) return;
    const PairView<T> pairs = layer.pairs[0].view();
    const std::size_t size = 2 * static_cast<std::size_t>(pairs.n_pairs) * wide;
    T* on_pairs_gradient = arena_.template take_zeros<T>(n_ * size);
    const Field<T> mixed_gradient = field(n_harmonics(layer.l_features), wide);
    T* scratch = arena_.take<T>(edge_scratch_size(layer.l_filter, wide, pairs.n_padded));
    const double of_node = 2.0 * pairs.n_pairs * wide * (n_harmonics(layer.l_features) + n_harmonics(layer.l_filter));
    const double of_edge = 4.0 * w_.n_contracted * (layer.l_filter + 1) * wide +
                           pairs.n_pairs * wide * (6.0 * layer.l_filter + 24.0);
    costs_.count(kConvolution, n_ * of_node + n_edges_ * of_edge, [&] {
        kernels_.convolution_backward({edge_view(radial, radial_gradient), pairs, layer.l_filter, layer.l_filter,
                                       wide, layer.filter.forward.data(), layer.filter.backward.data(),
                                       state.on_pairs, on_pairs_gradient, neighbours_gradient.data,
                                       neighbours_gradient.stride, scratch});
        kernels_.to_pairs_backward({pairs, layer.l_features, n_, wide, mixed_gradient.data,
                                    mixed_gradient.stride, on_pairs_gradient});
    });
    for (int l = 0; l <= layer.l_features; ++l) {
        if (features_gradient == nullptr) {
            fixed_backward(layer.mix_fixed, mixed_gradient, l, fixed_gradient);
            continue;
        }
        const Source<T> source = {mixed_gradient.at(l * l), mixed_gradient.stride, wide, wide};
        linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, layer.mix.backward_of(l), wide, wide,
               features_gradient->at(l * l), features_gradient->stride, wide, true);
    }
}

template void Network<float>::layer_forward(const Layer<float>&, const Field<float>&, const Field<float>*,
                                            const float*, bool, LayerState&);
template void Network<float>::layer_backward(const Layer<float>&, const Field<float>&, const Field<float>*,
                                             const float*, float*, int, bool, const LayerState&);
template void Network<double>::layer_forward(const Layer<double>&, const Field<double>&, const Field<double>*,
                                            const double*, bool, LayerState&);
template void Network<double>::layer_backward(const Layer<double>&, const Field<double>&, const Field<double>*,
                                             const double*, double*, int, bool, const LayerState&);

}  // namespace engine
}  // namespace densnet

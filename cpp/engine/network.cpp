#include "network.hpp"

#include <cmath>

namespace densnet {
namespace engine {

namespace {

constexpr double kPi = 3.14159265358979323846;
// densnet.nn.radial.BOND_FRACTION
constexpr double kBondFraction = 0.25;

constexpr int n_harmonics(int l) { return (l + 1) * (l + 1); }

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

template <typename T>
Network<T>::Network(const Weights<T>& weights, const Kernels<T>& kernels, const Kernels<double>& exact,
                    const Block& block, Arena& arena, Costs& costs)
    : w_(weights), kernels_(kernels), exact_(exact), block_(block), arena_(arena), costs_(costs),
      n_(block.n_atoms), n_edges_(block.n_edges()),
      // The functional sees components up to l_static, and products see sums up to their l_in.
      l_highest_(std::max(weights.l_static, weights.sizes.density_map.l_two_body)) {}

template <typename T>
Field<T> Network<T>::field(int n_m, int width, bool zeros) {
    // An odd number of cache lines from harmonic to harmonic spreads an atom over the cache.
    constexpr std::ptrdiff_t line = kLineBytes / sizeof(T);
    std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(n_) * width;
    if (stride / line % 2 == 0) stride += line;
    const std::size_t size = static_cast<std::size_t>(n_m) * stride;
    return {zeros ? arena_.template take_zeros<T>(size) : arena_.template take<T>(size), stride, width};
}

template <typename T>
template <typename U>
void Network<T>::linear(const Kernels<U>& kernels, Stage stage, int n_m, int first_row, int n_rows,
                        const Source<U>* sources, int n_sources, const U* weights, int n_columns,
                        std::ptrdiff_t weight_stride, U* out, std::ptrdiff_t out_stride, int out_width,
                        bool accumulate) {
    if (n_rows == 0) return;
    Source<U> shifted[kMaxSources];
    double n_in = 0.0;
    for (int s = 0; s < n_sources; ++s) {
        shifted[s] = sources[s];
        shifted[s].data += static_cast<std::ptrdiff_t>(first_row) * sources[s].width;
        n_in += sources[s].n_in;
    }
    costs_.count(stage, 2.0 * n_m * n_rows * n_in * n_columns, [&] {
        kernels.linear({n_m, n_rows, n_columns, n_sources, shifted, weights, weight_stride,
                        out + static_cast<std::ptrdiff_t>(first_row) * out_width, out_stride, out_width,
                        accumulate});
    });
}

template <typename T>
EdgeView<T> Network<T>::edge_view(const T* radial, T* radial_gradient) const {
    return {n_,          block_.first_edge.data(), block_.sender.data(),  unit_,
            harmonics_,  harmonics_width_,         radial,                w_.n_contracted,
            unit_gradient_, harmonics_gradient_,   radial_gradient};
}

template <typename T>
void Network<T>::contract(const Aligned<T>& matrices, int n_in, int n_out, const T* x, T* out,
                          bool accumulate) {
    costs_.count(kRadial, 2.0 * n_edges_ * n_in * n_out, [&] {
        kernels_.slots({n_edges_, n_in, n_out, block_.pair.data(), x, n_in, matrices.data(), out, accumulate});
    });
}

template <typename T>
HarmonicsJob<T> Network<T>::harmonics_job(int l_max) const {
    return {n_edges_,        n_padded_, l_max,   harmonic_norms(), directions_,
            harmonics_width_, nullptr,  nullptr, nullptr};
}

// b_n(x) = s sin(nπx)/x (1 − x²)³, x = r/r_c, and db_n/dr; directions and harmonics.
template <typename T>
void Network<T>::make_edges() {
    const int n_radial = w_.sizes.n_radial, n_y = n_harmonics(w_.sizes.l_density);
    harmonics_width_ = padded<T>(n_y);
    const std::size_t n = static_cast<std::size_t>(n_edges_);
    n_padded_ = (n_edges_ + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
    directions_ = arena_.take<double>(3 * static_cast<std::size_t>(n_padded_));
    std::fill(directions_, directions_ + 3 * static_cast<std::size_t>(n_padded_), std::sqrt(1.0 / 3.0));
    distance_ = arena_.take<double>(n);
    slopes_ = arena_.take<double>(n * n_radial);
    unit_ = arena_.take<T>(3 * n);
    unit_gradient_ = arena_.template take_zeros<T>(3 * n);
    harmonics_ = arena_.take<T>(n * harmonics_width_);
    harmonics_gradient_ = arena_.take<T>(n * harmonics_width_);
    functions_ = arena_.template take_zeros<T>(n * w_.n_radial);
    functions_gradient_ = arena_.template take_zeros<T>(n * w_.n_radial);
    costs_.count(kEdges, n * (10.0 * n_radial + 8.0 * n_y), [&] {
        const double scale = kBondFraction * std::sqrt(2.0 / n_radial);
        for (std::size_t e = 0; e < n; ++e) {
            const double* r = &block_.vectors[3 * e];
            const double distance = std::sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
            distance_[e] = distance;
            for (int axis = 0; axis < 3; ++axis) {
                directions_[axis * n_padded_ + e] = r[axis] / distance;
                unit_[3 * e + axis] = static_cast<T>(r[axis] / distance);
            }
            const double x = distance / w_.sizes.cutoff, inside = 1.0 - x * x;
            const double envelope = scale * inside * inside * inside / x;
            const double slope = scale * (-6.0 * inside * inside - inside * inside * inside / (x * x));
            const double sine = std::sin(kPi * x), cosine = std::cos(kPi * x);
            double s = sine, c = cosine;
            for (int k = 0; k < n_radial; ++k) {
                functions_[e * w_.n_radial + k] = static_cast<T>(s * envelope);
                slopes_[e * n_radial + k] =
                    (kPi * (k + 1) * c * envelope + s * slope) / w_.sizes.cutoff;
                const double next = s * cosine + c * sine;
                c = c * cosine - s * sine;
                s = next;
            }
        }
        HarmonicsJob<T> job = harmonics_job(w_.sizes.l_density);
        job.values = harmonics_;
        kernels_.harmonics_forward(job);
    });
    radial_map_ = arena_.take<T>(n * w_.n_contracted);
    radial_map_gradient_ = arena_.template take_zeros<T>(n * w_.n_contracted);
    contract(w_.contraction_map, w_.n_radial, w_.n_contracted, functions_, radial_map_, false);
    if (w_.uses_neighbours()) {
        radial_functional_ = arena_.take<T>(n * w_.n_contracted);
        radial_functional_gradient_ = arena_.template take_zeros<T>(n * w_.n_contracted);
        contract(w_.contraction_functional, w_.n_radial, w_.n_contracted, functions_, radial_functional_, false);
    }
}

// out ← M x, or M_s x with a matrix for each species, and the constant of the scalars.
template <typename T>
void Network<T>::fixed_forward(const Fixed<T>& map, const Field<T>& fixed, int l, const Field<T>& out) {
    const bool constant = l == 0 && map.constant.size() > 0;
    if (constant) {
        for (int a = 0; a < n_; ++a) {
            const T* row = map.constant.data() + static_cast<std::size_t>(block_.species[a]) * out.width;
            std::copy(row, row + out.width, out.data + static_cast<std::ptrdiff_t>(a) * out.width);
        }
    }
    const int n_maps = static_cast<int>(map.of.size());
    for (int s = 0; s < n_maps; ++s) {
        const int first = n_maps == 1 ? 0 : block_.first_of[s], end = n_maps == 1 ? n_ : block_.first_of[s + 1];
        if (constant && map.n_in[s][l] == 0) continue;
        const Source<T> source = {fixed.at(l * l), fixed.stride, fixed.width, map.n_in[s][l]};
        linear(kernels_, kLinear, 2 * l + 1, first, end - first, &source, 1, map.of[s].forward_of(l), out.width,
               out.width, out.at(l * l), out.stride, out.width, constant);
    }
}

template <typename T>
void Network<T>::fixed_backward(const Fixed<T>& map, const Field<T>& gradient, int l, const Field<T>& fixed_gradient) {
    const int n_maps = static_cast<int>(map.of.size());
    for (int s = 0; s < n_maps; ++s) {
        const int first = n_maps == 1 ? 0 : block_.first_of[s], end = n_maps == 1 ? n_ : block_.first_of[s + 1];
        if (map.n_in[s][l] == 0) continue;
        const Source<T> source = {gradient.at(l * l), gradient.stride, gradient.width, gradient.width};
        linear(kernels_, kLinear, 2 * l + 1, first, end - first, &source, 1, map.of[s].backward_of(l),
               fixed_gradient.width, fixed_gradient.width, fixed_gradient.at(l * l), fixed_gradient.stride,
               fixed_gradient.width, true);
    }
}

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
    if (features != nullptr) state.features = *features;
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

// Of the contracted radial functions; the layers' matrices contain what makes channels of them.
template <typename T>
void Network<T>::make_sums() {
    const int l_max = w_.sizes.l_density;
    sums_ = field(n_harmonics(l_max), w_.n_contracted);
    costs_.count(kSums, 2.0 * n_edges_ * w_.n_contracted * n_harmonics(l_max), [&] {
        kernels_.sums_forward({edge_view(radial_map_, nullptr), l_max, sums_.data, sums_.stride, nullptr});
    });
}

// Neighbour sums; of each layer up to l_low its features, or of the last one what they would be made of, and
// above l_low of all layers what read-outs make theirs of.
template <typename T>
std::vector<typename Network<T>::Seen> Network<T>::seen(int l) const {
    std::vector<Seen> parts;
    const auto add = [&](const Field<T>& value, const Field<T>& gradient, int at, int skipped) {
        const std::ptrdiff_t stride = gradient.data == nullptr ? 0 : gradient.stride;
        parts.push_back({{value.at(at) + skipped, value.stride, value.width, value.width - skipped},
                         gradient.data == nullptr ? nullptr : gradient.at(at) + skipped, stride});
    };
    add(sums_, sums_gradient_, l * l, 0);
    for (std::size_t i = 0; i < map_.size(); ++i) {
        const LayerState& state = map_[i];
        const Product<T>& p = w_.map[i].product;
        if (l > p.l_low) {
            // Above l_in there is nothing of a.
            add(state.high, state.high_gradient, l * l - n_harmonics(p.l_low), l <= p.l_in ? 0 : p.n_channels);
        } else if (i + 1 < map_.size()) {
            add(state.out, state.gradient, l * l, 0);
        } else {
            add(state.low, state.low_gradient, l * l, 0);
        }
    }
    return parts;
}

template <typename T>
void Network<T>::map_forward() {
    make_sums();
    map_.resize(w_.map.size());
    for (std::size_t i = 0; i < w_.map.size(); ++i) {
        layer_forward(w_.map[i], sums_, i > 0 ? &map_[i - 1].out : nullptr, radial_map_, i + 1 == w_.map.size(),
                      map_[i]);
    }
    components_ = field(n_harmonics(w_.sizes.l_density), w_.n_shells, true);
    for (int l = 0; l <= w_.sizes.l_density; ++l) {
        std::vector<Source<T>> sources;
        for (const Seen& part : seen(l)) sources.push_back(part.value);
        for (int s = 0; s < w_.sizes.n_species; ++s) {
            if (w_.n_components[s][l] == 0) continue;
            linear(kernels_, kLinear, 2 * l + 1, block_.first_of[s], block_.first_of[s + 1] - block_.first_of[s],
                   sources.data(), static_cast<int>(sources.size()), w_.readout[s][l].forward_of(0), w_.n_shells,
                   w_.n_shells, components_.at(l * l), components_.stride, w_.n_shells, false);
        }
    }
    transfer_forward();
    shift_charges();
}

// t_ij = Σ_k (u_ik v_jk − v_ik u_jk) R_k(r_ij), antisymmetric to the last bit: products of floats are
// exact in double, and in double both directions round alike.
template <typename T>
void Network<T>::transfer_forward() {
    const int k_max = w_.n_transfer;
    uv_ = arena_.take<T>(static_cast<std::size_t>(n_) * 2 * k_max);
    transfer_radial_ = arena_.take<T>(static_cast<std::size_t>(n_edges_) * k_max);
    for (int a = 0; a < n_; ++a) {
        const T* row = w_.transfer_species.data() + static_cast<std::size_t>(block_.species[a]) * 2 * k_max;
        std::copy(row, row + 2 * k_max, uv_ + static_cast<std::size_t>(a) * 2 * k_max);
    }
    std::vector<Source<T>> sources;
    for (const Seen& part : seen(0)) sources.push_back(part.value);
    linear(kernels_, kCharges, 1, 0, n_, sources.data(), static_cast<int>(sources.size()),
           w_.transfer_mix.forward_of(0), 2 * k_max, 2 * k_max, uv_, 0, 2 * k_max, true);
    const Source<T> radial = {functions_, 0, w_.n_radial, w_.n_radial};
    linear(kernels_, kCharges, 1, 0, n_edges_, &radial, 1, w_.transfer_radial.forward_of(0), k_max, k_max,
           transfer_radial_, 0, k_max, false);
    charges_.assign(n_, 0.0);
    costs_.count(kCharges, 5.0 * n_edges_ * k_max, [&] {
        for (int i = 0; i < n_; ++i) {
            const T* at_i = uv_ + static_cast<std::size_t>(i) * 2 * k_max;
            for (int e = block_.first_edge[i]; e < block_.first_edge[i + 1]; ++e) {
                const T* at_j = uv_ + static_cast<std::size_t>(block_.sender[e]) * 2 * k_max;
                const T* r = transfer_radial_ + static_cast<std::size_t>(e) * k_max;
                double forward = 0.0, back = 0.0;
                for (int k = 0; k < k_max; ++k) {
                    forward += static_cast<double>(at_i[k]) * at_j[k_max + k] * r[k];
                    back += static_cast<double>(at_j[k]) * at_i[k_max + k] * r[k];
                }
                charges_[i] += forward - back;
            }
        }
    });
}

// Adds to the gradients of all that is seen (its scalars) and of the radial functions.
template <typename T>
void Network<T>::transfer_backward(const std::vector<double>& charges_gradient) {
    const int k_max = w_.n_transfer;
    T* uv_gradient = arena_.template take_zeros<T>(static_cast<std::size_t>(n_) * 2 * k_max);
    T* radial_gradient = arena_.take<T>(static_cast<std::size_t>(n_edges_) * k_max);
    costs_.count(kCharges, 16.0 * n_edges_ * k_max, [&] {
        for (int i = 0; i < n_; ++i) {
            const T* at_i = uv_ + static_cast<std::size_t>(i) * 2 * k_max;
            T* d_i = uv_gradient + static_cast<std::size_t>(i) * 2 * k_max;
            const T g = static_cast<T>(charges_gradient[i]);
            for (int e = block_.first_edge[i]; e < block_.first_edge[i + 1]; ++e) {
                const std::size_t j = static_cast<std::size_t>(block_.sender[e]);
                const T* at_j = uv_ + j * 2 * k_max;
                T* d_j = uv_gradient + j * 2 * k_max;
                const T* r = transfer_radial_ + static_cast<std::size_t>(e) * k_max;
                T* d_r = radial_gradient + static_cast<std::size_t>(e) * k_max;
                for (int k = 0; k < k_max; ++k) {
                    const T u_i = at_i[k], v_i = at_i[k_max + k], u_j = at_j[k], v_j = at_j[k_max + k];
                    const T scaled = g * r[k];
                    d_i[k] += scaled * v_j;
                    d_i[k_max + k] -= scaled * u_j;
                    d_j[k] -= scaled * v_i;
                    d_j[k_max + k] += scaled * u_i;
                    d_r[k] = g * (u_i * v_j - v_i * u_j);
                }
            }
        }
    });
    const Source<T> uv = {uv_gradient, 0, 2 * k_max, 2 * k_max};
    int row = 0;
    for (const Seen& part : seen(0)) {
        linear(kernels_, kCharges, 1, 0, n_, &uv, 1, w_.transfer_mix.backward_of(0) + row, part.value.n_in,
               w_.transfer_mix.n_in, part.gradient, 0, part.value.width, true);
        row += part.value.n_in;
    }
    const Source<T> source = {radial_gradient, 0, k_max, k_max};
    linear(kernels_, kCharges, 1, 0, n_edges_, &source, 1, w_.transfer_radial.backward_of(0), w_.n_radial,
           w_.n_radial, functions_gradient_, 0, w_.n_radial, true);
}

// Whitening.with_charges on the components of the networks.
template <typename T>
void Network<T>::shift_charges() {
    const int n_shells = w_.sizes.n_shells;
    for (int a = 0; a < n_; ++a) {
        const std::size_t row = static_cast<std::size_t>(block_.species[a]) * n_shells;
        T* z = components_.data + static_cast<std::ptrdiff_t>(a) * components_.width;
        T present = 0;
        for (int i = 0; i < n_shells; ++i) present += z[i] * static_cast<T>(w_.charge_of[row + i]);
        present += static_cast<T>(w_.charge_offset[block_.species[a]]);
        const T missing = static_cast<T>(charges_[a]) - present;
        for (int i = 0; i < n_shells; ++i) z[i] += missing * static_cast<T>(w_.unit_charge[row + i]);
    }
}

// Turns the gradient of shifted components into that of the read-out; returns that of the charges.
template <typename T>
std::vector<double> Network<T>::shift_charges_backward(const Field<T>& gradient) {
    const int n_shells = w_.sizes.n_shells;
    std::vector<double> result(n_);
    for (int a = 0; a < n_; ++a) {
        const std::size_t row = static_cast<std::size_t>(block_.species[a]) * n_shells;
        T* d = gradient.data + static_cast<std::ptrdiff_t>(a) * gradient.width;
        T missing = 0;
        for (int i = 0; i < n_shells; ++i) missing += d[i] * static_cast<T>(w_.unit_charge[row + i]);
        for (int i = 0; i < n_shells; ++i) d[i] -= missing * static_cast<T>(w_.charge_of[row + i]);
        result[a] = missing;
    }
    return result;
}

template <typename T>
void Network<T>::functional_forward() {
    const int wide = w_.n_channels_functional;
    functional_.resize(w_.functional.size());
    for (std::size_t i = 0; i < w_.functional.size(); ++i) {
        layer_forward(w_.functional[i], components_, i > 0 ? &functional_[i - 1].out : nullptr, radial_functional_,
                      false, functional_[i]);
    }
    std::vector<Source<T>> scalars;
    for (const LayerState& state : functional_) scalars.push_back({state.out.data, 0, wide, wide});
    const int n_hidden = w_.hidden.n_out;
    hidden_ = arena_.take<T>(static_cast<std::size_t>(n_) * n_hidden);
    for (int a = 0; a < n_; ++a) {
        std::copy(w_.hidden_bias.data(), w_.hidden_bias.data() + n_hidden, hidden_ + static_cast<std::size_t>(a) * n_hidden);
    }
    linear(kernels_, kCharges, 1, 0, n_, scalars.data(), static_cast<int>(scalars.size()), w_.hidden.forward_of(0),
           n_hidden, n_hidden, hidden_, 0, n_hidden, true);
    learned_.assign(n_, 0.0);
    costs_.count(kCharges, 8.0 * n_ * n_hidden, [&] {
        for (int a = 0; a < n_; ++a) {
            const T* x = hidden_ + static_cast<std::size_t>(a) * n_hidden;
            T total = static_cast<T>(w_.out_bias);
            for (int i = 0; i < w_.sizes.n_hidden; ++i) total += w_.out[i] * (x[i] / (1 + std::exp(-x[i])));
            for (std::size_t layer = 0; layer < functional_.size(); ++layer) {
                const T* s = functional_[layer].out.data + static_cast<std::ptrdiff_t>(a) * wide;
                for (int c = 0; c < wide; ++c) total += s[c] * w_.direct[layer * wide + c];
            }
            learned_[a] = total;
        }
    });
}

// Gradients of Σ learned; in the unit of the learned energy until the very end.
template <typename T>
void Network<T>::functional_backward() {
    const int wide = w_.n_channels_functional, n_hidden = w_.hidden.n_out;
    T* hidden_gradient = arena_.template take_zeros<T>(static_cast<std::size_t>(n_) * n_hidden);
    costs_.count(kCharges, 10.0 * n_ * n_hidden, [&] {
        for (int a = 0; a < n_; ++a) {
            for (int i = 0; i < w_.sizes.n_hidden; ++i) {
                const std::size_t at = static_cast<std::size_t>(a) * n_hidden + i;
                const T sigmoid = 1 / (1 + std::exp(-hidden_[at]));
                hidden_gradient[at] = w_.out[i] * sigmoid * (1 + hidden_[at] * (1 - sigmoid));
            }
        }
    });
    const Source<T> source = {hidden_gradient, 0, n_hidden, n_hidden};
    for (std::size_t i = 0; i < functional_.size(); ++i) {
        LayerState& state = functional_[i];
        state.gradient = field(n_harmonics(w_.functional[i].product.l_readout), wide, true);
        const T* direct = w_.direct.data() + i * wide;
        for (int a = 0; a < n_; ++a) {
            std::copy(direct, direct + wide, state.gradient.data + static_cast<std::ptrdiff_t>(a) * wide);
        }
        linear(kernels_, kCharges, 1, 0, n_, &source, 1, w_.hidden.backward_of(0) + i * wide, wide, w_.hidden.n_in,
               state.gradient.data, 0, wide, true);
    }
    components_gradient_ = field(n_harmonics(w_.l_static), w_.n_shells, true);
    for (std::size_t i = functional_.size(); i-- > 0;) {
        layer_backward(w_.functional[i], components_gradient_, i > 0 ? &functional_[i - 1].gradient : nullptr,
                       radial_functional_, radial_functional_gradient_, w_.functional[i].product.l_low, false,
                       functional_[i]);
    }
}

template <typename T>
void Network<T>::map_backward() {
    const std::vector<double> charges_gradient = shift_charges_backward(components_gradient_);
    const int wide = w_.n_channels_map;
    sums_gradient_ = field(n_harmonics(l_highest_), w_.n_contracted, true);
    for (std::size_t i = 0; i < map_.size(); ++i) {
        LayerState& state = map_[i];
        const Product<T>& p = w_.map[i].product;
        const int n_low = n_harmonics(p.l_low), n_all = std::max(n_low, n_harmonics(w_.l_static));
        const bool last = i + 1 == map_.size();
        state.gradient = last ? Field<T>{} : field(n_low, wide, true);
        state.low_gradient = last ? field(n_low, 3 * wide, true) : Field<T>{};
        state.high_gradient = field(n_all - n_low, 2 * wide, true);
    }
    for (int l = 0; l <= w_.l_static; ++l) {
        int row = 0;
        for (const Seen& part : seen(l)) {
            for (int s = 0; s < w_.sizes.n_species; ++s) {
                if (w_.n_components[s][l] == 0) continue;
                const Source<T> source = {components_gradient_.at(l * l), components_gradient_.stride, w_.n_shells,
                                          w_.n_components[s][l]};
                linear(kernels_, kLinear, 2 * l + 1, block_.first_of[s],
                       block_.first_of[s + 1] - block_.first_of[s], &source, 1, w_.readout[s][l].backward_of(0) + row,
                       part.value.n_in, w_.readout[s][l].n_in, part.gradient, part.gradient_stride,
                       part.value.width, false);
            }
            row += part.value.n_in;
        }
    }
    transfer_backward(charges_gradient);
    for (std::size_t i = map_.size(); i-- > 0;) {
        layer_backward(w_.map[i], sums_gradient_, i > 0 ? &map_[i - 1].gradient : nullptr, radial_map_,
                       radial_map_gradient_, w_.l_static, i + 1 == map_.size(), map_[i]);
    }
    // Harmonics of the sums of one atom, transposed.
    T* scratch = arena_.take<T>(static_cast<std::size_t>(w_.n_contracted) * kMaxHarmonicsPadded);
    costs_.count(kSums, 4.0 * n_edges_ * w_.n_contracted * n_harmonics(l_highest_), [&] {
        kernels_.sums_backward({edge_view(radial_map_, radial_map_gradient_), l_highest_, sums_gradient_.data,
                                sums_gradient_.stride, scratch});
    });
    contract(w_.contraction_map_transposed, w_.n_contracted, w_.n_radial, radial_map_gradient_,
             functions_gradient_, true);
}

template <typename T>
void Network<T>::write_energies(const Results& results) {
    for (std::size_t k = 0; k < block_.n_structures; ++k) results.energy[block_.first_structure + k] = 0.0;
    for (int a = 0; a < n_; ++a) {
        results.energy[block_.structure[a]] +=
            w_.reference_energies[block_.species[a]] + w_.energy_scale * learned_[a];
    }
}

// With r_ij = r_j − r_i the force on i is dE/dr_ij, that on j its opposite; the virial −Σ r_ij ⊗ dE/dr_ij.
template <typename T>
void Network<T>::write_forces(const Batch& batch, const Results& results) {
    const std::size_t first = block_.first_structure * batch.n_atoms;
    std::fill(results.forces + 3 * first, results.forces + 3 * (first + n_), 0.0);
    std::fill(results.virial + 9 * block_.first_structure,
              results.virial + 9 * (block_.first_structure + block_.n_structures), 0.0);
    const int n_radial = w_.sizes.n_radial;
    double* by_harmonics = arena_.take_zeros<double>(3 * static_cast<std::size_t>(n_padded_));
    costs_.count(kEdges, n_edges_ * (2.0 * n_radial + 12.0 * n_harmonics(l_highest_) + 60.0), [&] {
        if (w_.uses_density()) {
            HarmonicsJob<T> job = harmonics_job(l_highest_);
            job.gradient = harmonics_gradient_;
            job.unit_gradient = by_harmonics;
            kernels_.harmonics_backward(job);
        }
        for (int i = 0; i < n_; ++i) {
            double* force_i = results.forces + 3 * block_.atom[i];
            double* virial = results.virial + 9 * block_.structure[i];
            for (int edge = block_.first_edge[i]; edge < block_.first_edge[i + 1]; ++edge) {
                const std::size_t e = static_cast<std::size_t>(edge);
                const double* r = &block_.vectors[3 * e];
                const double distance = distance_[e];
                double along = 0.0;
                for (int k = 0; k < n_radial; ++k) {
                    along += static_cast<double>(functions_gradient_[e * w_.n_radial + k]) * slopes_[e * n_radial + k];
                }
                double u[3], across[3];
                for (int axis = 0; axis < 3; ++axis) {
                    u[axis] = directions_[axis * n_padded_ + e];
                    across[axis] = unit_gradient_[3 * e + axis] + by_harmonics[axis * n_padded_ + e];
                }
                const double radial = across[0] * u[0] + across[1] * u[1] + across[2] * u[2];
                double* force_j = results.forces + 3 * block_.atom[block_.sender[e]];
                for (int axis = 0; axis < 3; ++axis) {
                    const double g =
                        w_.energy_scale * ((across[axis] - radial * u[axis]) / distance + along * u[axis]);
                    force_i[axis] += g;
                    force_j[axis] -= g;
                    for (int other = 0; other < 3; ++other) virial[3 * other + axis] -= r[other] * g;
                }
            }
        }
    });
}

// Charges, coefficients and dipole in double: components with exact charges, then unwhitened.
template <typename T>
void Network<T>::write_density(const Batch& batch, std::size_t n_functions, const Results& results) {
    const Configuration& c = w_.sizes;
    const int n_m = n_harmonics(c.l_density), wide = padded<double>(c.n_shells);
    const std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(n_) * wide;
    double* z = arena_.template take_zeros<double>(n_m * stride);
    double* coefficients = arena_.take<double>(n_m * stride);
    for (int h = 0; h < n_m; ++h) {
        for (int a = 0; a < n_; ++a) {
            const T* from = components_.at(h) + static_cast<std::ptrdiff_t>(a) * components_.width;
            for (int i = 0; i < c.n_shells; ++i) z[h * stride + a * wide + i] = from[i];
        }
    }
    for (int a = 0; a < n_; ++a) {
        const std::size_t row = static_cast<std::size_t>(block_.species[a]) * c.n_shells;
        double missing = charges_[a] - w_.charge_offset[block_.species[a]];
        for (int i = 0; i < c.n_shells; ++i) missing -= z[a * wide + i] * w_.charge_of[row + i];
        for (int i = 0; i < c.n_shells; ++i) z[a * wide + i] += missing * w_.unit_charge[row + i];
        results.charges[block_.atom[a]] = charges_[a];
    }
    for (int l = 0; l <= c.l_density; ++l) {
        const Source<double> source = {z + l * l * stride, stride, wide, c.n_shells};
        for (int s = 0; s < c.n_species; ++s) {
            linear(exact_, kObservables, 2 * l + 1, block_.first_of[s], block_.first_of[s + 1] - block_.first_of[s],
                   &source, 1, w_.to_coefficients[s].forward_of(l), wide, wide, coefficients + l * l * stride,
                   stride, wide, false);
        }
    }
    double* dipole = results.dipole + 3 * block_.first_structure;
    std::fill(dipole, dipole + 3 * block_.n_structures, 0.0);
    // Where the coefficients of each atom of a structure begin.
    std::vector<std::size_t> begin(batch.n_atoms);
    std::size_t total = 0;
    for (std::size_t a = 0; a < batch.n_atoms; ++a) {
        begin[a] = total;
        total += c.order[batch.species[a]].size();
    }
    costs_.count(kObservables, 8.0 * n_ * c.n_shells, [&] {
        for (int a = 0; a < n_; ++a) {
            const int s = block_.species[a];
            double* row = coefficients + static_cast<std::ptrdiff_t>(a) * wide;
            double local[3] = {0.0, 0.0, 0.0};
            for (int i = 0; i < c.n_shells; ++i) {
                row[i] += w_.offset[static_cast<std::size_t>(s) * c.n_shells + i];
                const double moment = w_.first_moment[static_cast<std::size_t>(s) * c.n_shells + i];
                // m = −1, 0, 1 are y, z, x
                local[1] += row[stride + i] * moment;
                local[2] += row[2 * stride + i] * moment;
                local[0] += row[3 * stride + i] * moment;
            }
            const double* position = batch.positions + 3 * block_.atom[a];
            for (int axis = 0; axis < 3; ++axis) {
                results.dipole[3 * block_.structure[a] + axis] -= charges_[a] * position[axis] + local[axis];
            }
            double* out = results.coefficients + static_cast<std::size_t>(block_.structure[a]) * n_functions +
                          begin[block_.atom[a] % batch.n_atoms];
            for (const std::int64_t at : c.order[s]) {
                *out++ = row[at / c.n_shells * stride + at % c.n_shells];
            }
        }
    });
}

template <typename T>
void Network<T>::evaluate(const Batch& batch, std::size_t n_functions, const Results& results) {
    make_edges();
    map_forward();
    functional_forward();
    functional_backward();
    if (w_.uses_density()) map_backward();
    if (w_.uses_neighbours()) {
        contract(w_.contraction_functional_transposed, w_.n_contracted, w_.n_radial,
                 radial_functional_gradient_, functions_gradient_, true);
    }
    write_energies(results);
    write_forces(batch, results);
    write_density(batch, n_functions, results);
}

template class Network<float>;
template class Network<double>;

}  // namespace engine
}  // namespace densnet

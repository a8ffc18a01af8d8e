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
      // The functional sees components up to l_static, and products harmonics up to their l_in.
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
    harmonics_width_ = n_y;
    const std::size_t n = static_cast<std::size_t>(n_edges_);
    n_padded_ = (n_edges_ + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
    directions_ = arena_.take<double>(3 * static_cast<std::size_t>(n_padded_));
    std::fill(directions_, directions_ + 3 * static_cast<std::size_t>(n_padded_), std::sqrt(1.0 / 3.0));
    distance_ = arena_.take<double>(n);
    slopes_ = arena_.take<double>(n * n_radial);
    unit_ = arena_.take<T>(3 * n);
    unit_gradient_ = arena_.template take_zeros<T>(3 * n);
    harmonics_ = arena_.take<T>(n * n_y);
    harmonics_gradient_ = arena_.template take_zeros<T>(n * n_y);
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

template <typename T>
void Network<T>::product_job(const Layer<T>& layer, const LayerState& state, ProductJob<T>& job) const {
    const Product<T>& p = layer.product;
    job.orbits = p.orbits.view();
    job.l_in = p.l_in;
    job.l_triple = p.l_low;
    job.l_pair = p.l_readout;
    job.n_atoms = n_;
    job.n_channels = p.n_channels;
    job.factors = state.factors.data;
    job.factors_stride = state.factors.stride;
    job.scale = p.scale.data();
    job.species = block_.species.data();
}

// out ← product([neighbours, fixed]) + W features, with `features` null in the first layer.
template <typename T>
void Network<T>::layer_forward(const Layer<T>& layer, const Field<T>& fixed, const Field<T>* features,
                               const T* radial, LayerState& state) {
    const Product<T>& p = layer.product;
    const int wide = p.n_channels;
    if (features != nullptr) state.features = *features;
    if (layer.kind == LayerKind::interaction) {
        const PairView<T> pairs = layer.pairs[0].view();
        const Field<T> mixed = field(n_harmonics(layer.l_features), wide);
        for (int l = 0; l <= layer.l_features; ++l) {
            const Source<T> source = {features->at(l * l), features->stride, wide, wide};
            linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, layer.mix.forward_of(l), wide, wide,
                   mixed.at(l * l), mixed.stride, wide, false);
        }
        const std::size_t size = 2 * static_cast<std::size_t>(pairs.n_pairs) * wide;
        state.on_pairs = arena_.take<T>(n_ * size);
        state.neighbours = field(n_harmonics(layer.l_filter), wide);
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
        Source<T> sources[2];
        int n_sources = 0;
        if (layer.kind == LayerKind::interaction) {
            sources[n_sources++] = {state.neighbours.at(l * l), state.neighbours.stride, wide, wide};
        }
        const Field<T>& own = layer.kind == LayerKind::local && l <= layer.l_features ? *features : fixed;
        sources[n_sources++] = {own.at(l * l), own.stride, wide, wide};
        linear(kernels_, kLinear, 2 * l + 1, 0, n_, sources, n_sources, p.factors.forward_of(l), 3 * wide,
               3 * wide, state.factors.at(l * l), state.factors.stride, 3 * wide, false);
    }
    const int n_low = n_harmonics(p.l_low), n_out = n_harmonics(p.l_readout);
    const Field<T> low = field(n_low, 3 * wide), high = field(n_out - n_low, 2 * wide);
    ProductJob<T> job{};
    product_job(layer, state, job);
    job.low = low.data;
    job.low_stride = low.stride;
    job.high = high.data;
    job.high_stride = high.stride;
    const double operations = 3.0 * transform_operations(p.orbits, p.l_in) + 2.0 * point_count(p.orbits) +
                              transform_operations(p.orbits, p.l_low) + transform_operations(p.orbits, p.l_readout);
    costs_.count(kProduct, operations * n_ * wide, [&] { kernels_.product_forward(job); });
    state.out = field(n_out, wide);
    for (int l = 0; l <= p.l_readout; ++l) {
        Source<T> sources[2];
        int n_sources = 0;
        const T* weights;
        if (l <= p.l_low) {
            weights = p.low.forward_of(l);
            sources[n_sources++] = {low.at(l * l), low.stride, 3 * wide, 3 * wide};
            if (features != nullptr) sources[n_sources++] = {features->at(l * l), features->stride, wide, wide};
        } else {
            // Above l_in there is nothing of a.
            const int skipped = l <= p.l_in ? 0 : wide;
            weights = p.high.forward_of(l - p.l_low - 1) + skipped * wide;
            sources[n_sources++] = {high.at(l * l - n_low) + skipped, high.stride, 2 * wide, 2 * wide - skipped};
        }
        linear(kernels_, kLinear, 2 * l + 1, 0, n_, sources, n_sources, weights, wide, wide,
               state.out.at(l * l), state.out.stride, wide, false);
    }
}

// From state.gradient (of state.out, up to l_gradient) to the gradients of all that the layer has seen,
// added there.
template <typename T>
void Network<T>::layer_backward(const Layer<T>& layer, const Field<T>& fixed_gradient,
                                const Field<T>* features_gradient, const T* radial, T* radial_gradient,
                                int l_gradient, const LayerState& state) {
    const Product<T>& p = layer.product;
    const int wide = p.n_channels, l_readout = std::min(p.l_readout, l_gradient);
    const int n_low = n_harmonics(p.l_low), n_out = n_harmonics(l_readout);
    const Field<T> low = field(n_low, 3 * wide), high = field(n_out - n_low, 2 * wide);
    for (int l = 0; l <= l_readout; ++l) {
        const Source<T> source = {state.gradient.at(l * l), state.gradient.stride, wide, wide};
        if (l <= p.l_low) {
            linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, p.low.backward_of(l), 3 * wide, p.low.n_in,
                   low.at(l * l), low.stride, 3 * wide, false);
            if (features_gradient == nullptr) continue;
            linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, p.low.backward_of(l) + 3 * wide, wide,
                   p.low.n_in, features_gradient->at(l * l), features_gradient->stride, wide, true);
        } else {
            const int skipped = l <= p.l_in ? 0 : wide;
            linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1,
                   p.high.backward_of(l - p.l_low - 1) + skipped, 2 * wide - skipped, 2 * wide,
                   high.at(l * l - n_low) + skipped, high.stride, 2 * wide, false);
        }
    }
    const Field<T> factors_gradient = field(n_harmonics(p.l_in), 3 * wide);
    ProductJob<T> job{};
    product_job(layer, state, job);
    job.l_pair = l_readout;
    job.low = low.data;
    job.low_stride = low.stride;
    job.high = high.data;
    job.high_stride = high.stride;
    job.factors_gradient = factors_gradient.data;
    // The kernel strides alike through factors and their gradient: both are fields of one shape.
    const double operations = 6.0 * transform_operations(p.orbits, p.l_in) + 6.0 * point_count(p.orbits) +
                              transform_operations(p.orbits, p.l_low) + transform_operations(p.orbits, l_readout);
    costs_.count(kProduct, operations * n_ * wide, [&] { kernels_.product_backward(job); });

    const bool exchanging = layer.kind == LayerKind::interaction;
    const Field<T> neighbours_gradient = field(exchanging ? n_harmonics(layer.l_filter) : 0, wide);
    for (int l = 0; l <= p.l_in; ++l) {
        const Source<T> source = {factors_gradient.at(l * l), factors_gradient.stride, 3 * wide, 3 * wide};
        const T* weights = p.factors.backward_of(l);
        if (exchanging) {
            linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, weights, wide, p.factors.n_in,
                   neighbours_gradient.at(l * l), neighbours_gradient.stride, wide, false);
            weights += wide;
        }
        const Field<T>& own =
            layer.kind == LayerKind::local && l <= layer.l_features ? *features_gradient : fixed_gradient;
        linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, weights, wide, p.factors.n_in, own.at(l * l),
               own.stride, wide, true);
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
        const Source<T> source = {mixed_gradient.at(l * l), mixed_gradient.stride, wide, wide};
        linear(kernels_, kLinear, 2 * l + 1, 0, n_, &source, 1, layer.mix.backward_of(l), wide, wide,
               features_gradient->at(l * l), features_gradient->stride, wide, true);
    }
}

template <typename T>
void Network<T>::make_sums() {
    const int l_max = w_.sizes.l_density, wide = w_.n_channels_map;
    sums_ = field(n_harmonics(l_max), wide);
    T* scratch = arena_.take<T>(edge_scratch_size(l_max, wide, 0));
    const double of_edge = 2.0 * wide * ((l_max + 1.0) * w_.n_contracted + n_harmonics(l_max));
    costs_.count(kSums, n_edges_ * of_edge, [&] {
        kernels_.sums_forward({edge_view(radial_map_, nullptr), l_max, wide, w_.two_body.forward.data(),
                               w_.two_body.n_out, w_.two_body.backward.data(), sums_.data, sums_.stride, scratch});
    });
}

// Neighbour sums and every layer's features, the input of the read-out; stride: from l to l.
template <typename T>
std::vector<Source<T>> Network<T>::collected() const {
    std::vector<Source<T>> sources{{sums_.data, sums_.stride, sums_.width, sums_.width}};
    for (const LayerState& state : map_) {
        sources.push_back({state.out.data, state.out.stride, state.out.width, state.out.width});
    }
    return sources;
}

template <typename T>
void Network<T>::map_forward() {
    make_sums();
    map_.resize(w_.map.size());
    for (std::size_t i = 0; i < w_.map.size(); ++i) {
        layer_forward(w_.map[i], sums_, i > 0 ? &map_[i - 1].out : nullptr, radial_map_, map_[i]);
    }
    components_ = field(n_harmonics(w_.sizes.l_density), w_.n_shells);
    const std::vector<Source<T>> sources = collected();
    for (int l = 0; l <= w_.sizes.l_density; ++l) {
        std::vector<Source<T>> of_l = sources;
        for (Source<T>& source : of_l) source.data += l * l * source.stride;
        for (int s = 0; s < w_.sizes.n_species; ++s) {
            linear(kernels_, kLinear, 2 * l + 1, block_.first_of[s], block_.first_of[s + 1] - block_.first_of[s],
                   of_l.data(), static_cast<int>(of_l.size()), w_.readout[s].forward_of(l), w_.n_shells,
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
    const std::vector<Source<T>> sources = collected();
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

// Adds to the gradients of everything collected (its scalars) and of the radial functions.
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
    int column = 0;
    const auto into = [&](const Field<T>& gradient) {
        linear(kernels_, kCharges, 1, 0, n_, &uv, 1, w_.transfer_mix.backward_of(0) + column, gradient.width,
               w_.transfer_mix.n_in, gradient.data, 0, gradient.width, true);
        column += gradient.width;
    };
    into(sums_gradient_);
    for (const LayerState& state : map_) into(state.gradient);
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
    const int wide = w_.n_channels_functional, l_static = w_.l_static;
    start_ = field(n_harmonics(l_static), wide, !w_.uses_density());
    for (int l = 0; l <= l_static && w_.uses_density(); ++l) {
        const Source<T> source = {components_.at(l * l), components_.stride, w_.n_shells, w_.n_shells};
        for (int s = 0; s < w_.sizes.n_species; ++s) {
            linear(kernels_, kLinear, 2 * l + 1, block_.first_of[s], block_.first_of[s + 1] - block_.first_of[s],
                   &source, 1, w_.density[s].forward_of(l), wide, wide, start_.at(l * l), start_.stride, wide,
                   false);
        }
    }
    for (int a = 0; a < n_; ++a) {
        const T* embedded = w_.species.data() + static_cast<std::size_t>(block_.species[a]) * wide;
        T* row = start_.data + static_cast<std::ptrdiff_t>(a) * wide;
        for (int c = 0; c < wide; ++c) row[c] += embedded[c];
    }
    functional_.resize(w_.functional.size());
    for (std::size_t i = 0; i < w_.functional.size(); ++i) {
        layer_forward(w_.functional[i], start_, i > 0 ? &functional_[i - 1].out : &start_, radial_functional_,
                      functional_[i]);
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
    start_gradient_ = field(n_harmonics(w_.l_static), wide, true);
    for (std::size_t i = functional_.size(); i-- > 0;) {
        layer_backward(w_.functional[i], start_gradient_,
                       i > 0 ? &functional_[i - 1].gradient : &start_gradient_, radial_functional_,
                       radial_functional_gradient_, w_.functional[i].product.l_readout, functional_[i]);
    }
}

template <typename T>
void Network<T>::map_backward() {
    const int wide = w_.n_channels_functional;
    const Field<T> gradient = field(n_harmonics(w_.l_static), w_.n_shells);
    for (int l = 0; l <= w_.l_static; ++l) {
        const Source<T> source = {start_gradient_.at(l * l), start_gradient_.stride, wide, wide};
        for (int s = 0; s < w_.sizes.n_species; ++s) {
            linear(kernels_, kLinear, 2 * l + 1, block_.first_of[s], block_.first_of[s + 1] - block_.first_of[s],
                   &source, 1, w_.density[s].backward_of(l), w_.n_shells, w_.n_shells, gradient.at(l * l),
                   gradient.stride, w_.n_shells, false);
        }
    }
    const std::vector<double> charges_gradient = shift_charges_backward(gradient);
    sums_gradient_ = field(n_harmonics(l_highest_), w_.n_channels_map, true);
    for (LayerState& state : map_) state.gradient = field(n_harmonics(l_highest_), w_.n_channels_map, true);
    for (int l = 0; l <= w_.l_static; ++l) {
        const Source<T> source = {gradient.at(l * l), gradient.stride, w_.n_shells, w_.n_shells};
        int column = 0;
        const auto into = [&](const Field<T>& target) {
            for (int s = 0; s < w_.sizes.n_species; ++s) {
                linear(kernels_, kLinear, 2 * l + 1, block_.first_of[s],
                       block_.first_of[s + 1] - block_.first_of[s], &source, 1, w_.readout[s].backward_of(l) + column,
                       target.width, w_.readout[s].n_in, target.at(l * l), target.stride, target.width, false);
            }
            column += target.width;
        };
        into(sums_gradient_);
        for (LayerState& state : map_) into(state.gradient);
    }
    transfer_backward(charges_gradient);
    for (std::size_t i = map_.size(); i-- > 0;) {
        layer_backward(w_.map[i], sums_gradient_, i > 0 ? &map_[i - 1].gradient : nullptr, radial_map_,
                       radial_map_gradient_, l_highest_, map_[i]);
    }
    const int wide_map = w_.n_channels_map;
    T* scratch = arena_.take<T>(edge_scratch_size(l_highest_, wide_map, 0));
    const double of_edge = 4.0 * wide_map * ((l_highest_ + 1.0) * w_.n_contracted + n_harmonics(l_highest_));
    costs_.count(kSums, n_edges_ * of_edge, [&] {
        kernels_.sums_backward({edge_view(radial_map_, radial_map_gradient_), l_highest_, wide_map,
                                w_.two_body.forward.data(), w_.two_body.n_out,
                                w_.two_body.backward.data(), sums_gradient_.data,
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

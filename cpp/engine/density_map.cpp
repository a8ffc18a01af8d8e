// Network 1: neighbour sums, layers, read-out and charges.
#include "network.hpp"

namespace densnet {
namespace engine {

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

template void Network<float>::map_forward();
template void Network<float>::map_backward();
template void Network<double>::map_forward();
template void Network<double>::map_backward();

}  // namespace engine
}  // namespace densnet

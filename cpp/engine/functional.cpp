// Network 2: layers, and the read-out of an atom's energy.
#include "network.hpp"

#include <cmath>

namespace densnet {
namespace engine {

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

template void Network<float>::functional_forward();
template void Network<float>::functional_backward();
template void Network<double>::functional_forward();
template void Network<double>::functional_backward();

}  // namespace engine
}  // namespace densnet

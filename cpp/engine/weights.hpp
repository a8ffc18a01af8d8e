// The weights of both networks in the order in which the kernels read them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "densnet/engine.hpp"
#include "memory.hpp"
#include "sphere.hpp"

namespace densnet {
namespace engine {

// Arrays that a matrix product may read its input from: neighbour sums and every layer's features.
constexpr int kMaxSources = 16;

// Named arrays of a saved model, checked when taken.
class State {
public:
    explicit State(const std::map<std::string, Tensor>& tensors) : tensors_(tensors) {}
    const std::vector<double>& take(const std::string& name, const std::vector<std::size_t>& shape) const;

private:
    const std::map<std::string, Tensor>& tensors_;
};

// Position of index i where groups of n values are padded to n_padded.
struct Grouped {
    int n, n_padded;
    int operator()(int i) const { return i / n * n_padded + i % n; }
};

// One matrix for every l, and its transpose; sources are parts of the input in arrays of their own.
template <typename T>
struct Linear {
    int n_l = 0, n_in = 0, n_out = 0;  // padded
    Aligned<T> forward;                // (n_l, n_in, n_out)
    Aligned<T> backward;               // (n_l, n_out, n_in)

    Linear() = default;
    Linear(int n_l, int n_in, int n_out)
        : n_l(n_l), n_in(n_in), n_out(n_out), forward(static_cast<std::size_t>(n_l) * n_in * n_out),
          backward(static_cast<std::size_t>(n_l) * n_in * n_out) {}

    void set(int l, int i, int o, double value) {
        forward[(static_cast<std::size_t>(l) * n_in + i) * n_out + o] = static_cast<T>(value);
        backward[(static_cast<std::size_t>(l) * n_out + o) * n_in + i] = static_cast<T>(value);
    }
    const T* forward_of(int l) const { return forward.data() + static_cast<std::size_t>(l) * n_in * n_out; }
    const T* backward_of(int l) const { return backward.data() + static_cast<std::size_t>(l) * n_in * n_out; }
};

// Linear maps of what no layer changes, one for each species or one for all: products of the model's
// matrices, made once, so that nothing is computed of it but what the layers need.
template <typename T>
struct Fixed {
    std::vector<Linear<T>> of;
    std::vector<std::vector<int>> n_in;  // of each of them and l: inputs that are not always zero
    Aligned<T> constant;                 // (n_species, n_out), added to the scalars; may be empty

    bool empty() const { return of.empty(); }
};

// Σ_c W₁a + W₂(a·b) + W₃(a·b·c), densnet.nn.product.SphereProduct. a, b, c are maps of what is fixed, from
// l_fixed on, and of moving inputs (neighbours, features), up to l_moving. `low` is the result up to l_low,
// with the skip connection; what lies above is seen by the read-out only, which contains its weights.
template <typename T>
struct Product {
    int l_in, l_low, l_readout;
    int l_fixed, l_moving;
    int n_channels;  // padded
    Orbits<T> orbits;
    Fixed<T> factors_fixed;
    Linear<T> factors;
    Aligned<T> scale;  // (n_species, 3 n_channels)
    Fixed<T> skip_fixed;
    Linear<T> low;  // from a, a·b, a·b·c and, behind them, the features of the skip connection
};

enum class LayerKind { first, interaction, local };

// densnet.nn.interaction: a product, of neighbour sums or of the atom's own features.
template <typename T>
struct Layer {
    LayerKind kind;
    int l_features;
    int l_filter;
    Fixed<T> mix_fixed;  // one of these two
    Linear<T> mix;
    Linear<T> filter;  // contracted radial functions to (l_filter + 1) n_channels
    std::vector<Pairs<T>> pairs;  // one, or none
    Product<T> product;
};

template <typename T>
struct Weights {
    Configuration sizes;
    int n_radial, n_contracted, n_channels_map, n_channels_functional, n_shells, n_transfer;  // padded
    int l_static;  // of the components that the functional sees
    // Components that are not always zero, of each species and l; the highest l that has any.
    std::vector<std::vector<int>> n_components;
    std::vector<int> l_components;
    // Network 1. What is fixed are neighbour sums of the contracted radial functions. The read-outs see
    // those, what each layer but the last makes, and the last layer's a, a·b, a·b·c; above l_low
    // every layer's a, a·b.
    Aligned<T> contraction_map, contraction_map_transposed;  // (n_species², n_radial, n_contracted)
    std::vector<Layer<T>> map;
    std::vector<std::vector<Linear<T>>> readout;  // of each species and l
    Linear<T> transfer_mix;
    Aligned<T> transfer_species;  // (n_species, 2 n_transfer)
    Linear<T> transfer_radial;
    // Network 2. What is fixed are the components.
    Aligned<T> contraction_functional, contraction_functional_transposed;
    std::vector<Layer<T>> functional;
    Linear<T> hidden;
    Aligned<T> hidden_bias, out, direct;
    double out_bias;
    // Whitening, double whatever T is
    std::vector<Linear<double>> to_coefficients;
    std::vector<double> offset, first_moment, charge_of, charge_offset, unit_charge;
    std::vector<double> reference_energies;
    double energy_scale;

    Weights(const Configuration& configuration, const State& state);
    bool uses_density() const { return sizes.inputs != Inputs::geometry; }
    bool uses_neighbours() const { return sizes.inputs != Inputs::density; }

private:
    void make_whitening(const State& state);
    void make_map(const State& state);
    void make_functional(const State& state);
};

}  // namespace engine
}  // namespace densnet

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

// Σ_c W₁a + W₂(a·b) + W₃(a·b·c), densnet.nn.product.SphereProduct. `low` is the part up to l_low, with
// the skip connection; `high` the continuation up to l_readout.
template <typename T>
struct Product {
    int l_in, l_low, l_readout;
    int n_channels;  // padded
    Orbits<T> orbits;
    Linear<T> factors;
    Aligned<T> scale;  // (n_species, 3 n_channels)
    Linear<T> low;     // from a, a·b, a·b·c and, behind them, the features of the skip connection
    Linear<T> high;    // (l_readout − l_low) matrices from a, a·b
};

enum class LayerKind { first, interaction, local };

// densnet.nn.interaction: a product, of neighbour sums or of the atom's own features.
template <typename T>
struct Layer {
    LayerKind kind;
    int l_features;
    int l_filter;
    Linear<T> mix;
    Linear<T> filter;  // contracted radial functions to (l_filter + 1) n_channels
    std::vector<Pairs<T>> pairs;  // one, or none
    Product<T> product;
};

template <typename T>
struct Weights {
    Configuration sizes;
    int n_radial, n_contracted, n_channels_map, n_channels_functional, n_shells, n_transfer;  // padded
    int l_static;  // of the functional's first features
    // Network 1
    Aligned<T> contraction_map, contraction_map_transposed;  // (n_species², n_radial, n_contracted)
    Linear<T> two_body;
    std::vector<Layer<T>> map;
    std::vector<Linear<T>> readout;  // of each species
    Linear<T> transfer_mix;
    Aligned<T> transfer_species;  // (n_species, 2 n_transfer)
    Linear<T> transfer_radial;
    // Network 2
    Aligned<T> contraction_functional, contraction_functional_transposed;
    Aligned<T> species;  // (n_species, n_channels)
    std::vector<Linear<T>> density;
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
};

}  // namespace engine
}  // namespace densnet

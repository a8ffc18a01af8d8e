#include "weights.hpp"

#include <stdexcept>

namespace densnet {
namespace engine {

const std::vector<double>& State::take(const std::string& name,
                                       const std::vector<std::size_t>& shape) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw std::invalid_argument("the model's state lacks " + name);
    if (found->second.shape != shape) {
        throw std::invalid_argument(name + " has another shape than the configuration says");
    }
    return found->second.values;
}

namespace {

using Shape = std::vector<std::size_t>;

Shape shape(std::initializer_list<int> sizes) {
    Shape result;
    for (const int n : sizes) result.push_back(static_cast<std::size_t>(n));
    return result;
}

// Copy (n_l, n_in, n_out) into a Linear, from input `first_in` on, scaled by factor(l, i).
template <typename T, typename Rows, typename Columns, typename Factor>
void pack(Linear<T>& linear, const double* w, int n_l, int n_in, int n_out, int first_in, const Rows& row,
          const Columns& column, const Factor& factor) {
    for (int l = 0; l < n_l; ++l) {
        for (int i = 0; i < n_in; ++i) {
            for (int o = 0; o < n_out; ++o) {
                const double value = w[(static_cast<std::size_t>(l) * n_in + i) * n_out + o];
                linear.set(l, first_in + row(i), column(o), factor(l, i) * value);
            }
        }
    }
}

constexpr auto one = [](int, int) { return 1.0; };

template <typename T>
Aligned<T> rows_of(const std::vector<double>& values, int n_rows, const Grouped& columns, int n_groups) {
    Aligned<T> result(static_cast<std::size_t>(n_rows) * n_groups * columns.n_padded);
    const int n = n_groups * columns.n;
    for (int r = 0; r < n_rows; ++r) {
        for (int i = 0; i < n; ++i) {
            result[static_cast<std::size_t>(r) * n_groups * columns.n_padded + columns(i)] =
                static_cast<T>(values[static_cast<std::size_t>(r) * n + i]);
        }
    }
    return result;
}

// sizes of a product: what its input is and how far its results are needed
struct ProductShape {
    int l_in, l_out, l_readout;
    int n_in_groups;
    bool skip;
    int l_needed;  // results above are not used
};

template <typename T>
Product<T> make_product(const Configuration& c, const State& state, const std::string& prefix,
                        const std::string& skip, int n_channels, const ProductShape& p) {
    const int n = n_channels, wide = padded<T>(n);
    const int l_low = std::min(p.l_out, p.l_needed), l_readout = std::min(p.l_readout, p.l_needed);
    const int degree = std::max(3 * p.l_in + l_low, 2 * p.l_in + l_readout);
    const Grouped groups{n, wide};
    Product<T> product{p.l_in, l_low, l_readout, wide, Orbits<T>(rule_for(c.rules, degree)),
                       Linear<T>(p.l_in + 1, p.n_in_groups * wide, 3 * wide), Aligned<T>(),
                       Linear<T>(l_low + 1, (p.skip ? 4 : 3) * wide, wide),
                       Linear<T>(l_readout - l_low, 2 * wide, wide)};
    const auto& factors =
        state.take(prefix + "factors.weight", shape({p.l_in + 1, p.n_in_groups * n, 3 * n}));
    pack(product.factors, factors.data(), p.l_in + 1, p.n_in_groups * n, 3 * n, 0, groups, groups, one);
    product.scale = rows_of<T>(state.take(prefix + "species_scale", shape({c.n_species, 3 * n})),
                               c.n_species, groups, 3);
    // Of two factors each carries 1/s to the grid and the result s back from it.
    const double s = p.l_in + 1;
    const auto factor = [&](int, int i) { return i < n ? 1.0 : i < 2 * n ? 1.0 / s : 1.0 / (s * s); };
    const auto& combine = state.take(prefix + "combine.weight", shape({p.l_out + 1, 3 * n, n}));
    pack(product.low, combine.data(), l_low + 1, 3 * n, n, 0, groups, groups, factor);
    if (p.skip) {
        const auto& weight = state.take(skip, shape({p.l_out + 1, n, n}));
        pack(product.low, weight.data(), l_low + 1, n, n, 3 * wide, groups, groups, one);
    }
    const auto& high = state.take(prefix + "high", shape({p.l_readout - p.l_out, 2 * n, n}));
    pack(product.high, high.data(), l_readout - l_low, 2 * n, n, 0, groups, groups, factor);
    return product;
}

template <typename T>
Layer<T> make_interaction(const Configuration& c, const State& state, const std::string& prefix,
                          const NetworkSizes& sizes, int l_readout, int l_needed) {
    const int n = sizes.n_channels, wide = padded<T>(n), radial = padded<T>(c.n_contracted);
    const int l_filter = sizes.l_two_body, l_features = sizes.l_features;
    const Grouped groups{n, wide};
    const ProductShape shape_of{l_filter, l_features, l_readout, 2, true, l_needed};
    Layer<T> layer{LayerKind::interaction, l_features, l_filter, Linear<T>(l_features + 1, wide, wide),
                   Linear<T>(1, radial, (l_filter + 1) * wide), {},
                   make_product<T>(c, state, prefix + "product.", prefix + "skip.weight", n, shape_of)};
    const auto& mix = state.take(prefix + "convolution.mix.weight", shape({l_features + 1, n, n}));
    pack(layer.mix, mix.data(), l_features + 1, n, n, 0, groups, groups, one);
    const auto& filter =
        state.take(prefix + "convolution.filter.weight", shape({l_filter + 1, c.n_contracted, n}));
    // Σ_m Y_lm(u) Y_lm(g) = (2l + 1) P_l(u · g); 1/s for filter and features each, s back.
    const double s = std::max(l_filter, l_features) + 1;
    for (int l = 0; l <= l_filter; ++l) {
        for (int k = 0; k < c.n_contracted; ++k) {
            for (int o = 0; o < n; ++o) {
                const double w = filter[(static_cast<std::size_t>(l) * c.n_contracted + k) * n + o];
                layer.filter.set(0, k, l * wide + o, (2 * l + 1) / s * w);
            }
        }
    }
    layer.pairs.emplace_back(rule_for(c.rules, l_filter + l_features + l_filter));
    return layer;
}

template <typename T>
Layer<T> make_local(const Configuration& c, const State& state, const std::string& prefix,
                    const NetworkSizes& sizes, int l_needed) {
    const ProductShape shape_of{sizes.l_two_body, sizes.l_features, sizes.l_features, 1, true, l_needed};
    return {LayerKind::local, sizes.l_features, 0, Linear<T>(), Linear<T>(), {},
            make_product<T>(c, state, prefix + "product.", prefix + "skip.weight", sizes.n_channels,
                            shape_of)};
}

template <typename T>
std::vector<Linear<T>> make_species_linear(const std::vector<double>& w, int n_species, int n_l, int n_in,
                                           int n_out, const Grouped& rows, int n_rows) {
    std::vector<Linear<T>> result;
    for (int s = 0; s < n_species; ++s) {
        Linear<T> linear(n_l, n_rows, padded<T>(n_out));
        for (int l = 0; l < n_l; ++l) {
            for (int i = 0; i < n_in; ++i) {
                for (int o = 0; o < n_out; ++o) {
                    const std::size_t row = static_cast<std::size_t>(l) * n_in + i;
                    linear.set(l, rows(i), o, w[(row * n_species + s) * n_out + o]);
                }
            }
        }
        result.push_back(std::move(linear));
    }
    return result;
}

// (n_species² · n_radial, n_contracted) to padded matrices of every pair of species, and transposed.
template <typename T>
void make_contraction(const std::vector<double>& w, const Configuration& c, Aligned<T>& plain,
                      Aligned<T>& transposed) {
    const int rows = padded<T>(c.n_radial), columns = padded<T>(c.n_contracted);
    const std::size_t n_slots = static_cast<std::size_t>(c.n_species) * c.n_species;
    plain = Aligned<T>(n_slots * rows * columns);
    transposed = Aligned<T>(n_slots * rows * columns);
    for (std::size_t slot = 0; slot < n_slots; ++slot) {
        for (int n = 0; n < c.n_radial; ++n) {
            for (int k = 0; k < c.n_contracted; ++k) {
                const T value = static_cast<T>(w[(slot * c.n_radial + n) * c.n_contracted + k]);
                plain[(slot * rows + n) * columns + k] = value;
                transposed[(slot * columns + k) * rows + n] = value;
            }
        }
    }
}

void check(bool good, const std::string& what) {
    if (!good) throw std::invalid_argument(what);
}

void check_sizes(const NetworkSizes& sizes, const Configuration& c, const std::string& name) {
    check(sizes.n_channels > 0 && sizes.n_layers > 0 && sizes.n_layers < kMaxSources,
          name + " must have channels and 1 to " + std::to_string(kMaxSources - 1) + " layers");
    check(sizes.l_features <= sizes.l_two_body && sizes.l_two_body <= c.l_density && sizes.l_features >= 0,
          name + ": l_features ≤ l_two_body ≤ l of the density basis is assumed");
    check(sizes.l_two_body >= 1 && sizes.l_two_body <= kMaxFilterL,
          name + ": l_two_body must lie between 1 and " + std::to_string(kMaxFilterL));
}

}  // namespace

template <typename T>
Weights<T>::Weights(const Configuration& c, const State& state)
    : sizes(c), n_radial(padded<T>(c.n_radial)), n_contracted(padded<T>(c.n_contracted)),
      n_channels_map(padded<T>(c.density_map.n_channels)),
      n_channels_functional(padded<T>(c.functional.n_channels)), n_shells(padded<T>(c.n_shells)),
      n_transfer(padded<T>(c.n_transfer)) {
    check(c.l_density >= 1 && c.l_density <= kMaxL, "the density basis must have l between 1 and " + std::to_string(kMaxL));
    check_sizes(c.density_map, c, "density_map");
    check_sizes(c.functional, c, "energy_functional");
    const int n_species = c.n_species, l_density = c.l_density, n_m = l_density + 1;
    l_static = c.functional.l_two_body;

    const std::string map_name = "density_map.", functional_name = "energy_functional.";
    const int n_slots = c.n_radial * n_species * n_species;
    make_contraction<T>(state.take(map_name + "radial.weight", shape({n_slots, c.n_contracted})), c,
                        contraction_map, contraction_map_transposed);
    const int n = c.density_map.n_channels, wide = n_channels_map;
    const Grouped groups{n, wide};
    two_body = Linear<T>(1, n_contracted, n_m * wide);
    const auto& sums = state.take(map_name + "two_body.weight", shape({n_m, c.n_contracted, n}));
    for (int l = 0; l < n_m; ++l) {
        for (int k = 0; k < c.n_contracted; ++k) {
            for (int o = 0; o < n; ++o) {
                two_body.set(0, k, l * wide + o, sums[(static_cast<std::size_t>(l) * c.n_contracted + k) * n + o]);
            }
        }
    }
    const ProductShape first{c.density_map.l_two_body, c.density_map.l_features, l_density, 1, false, l_density};
    map.push_back({LayerKind::first, 0, 0, Linear<T>(), Linear<T>(), {},
                   make_product<T>(c, state, map_name + "product.", "", n, first)});
    for (int i = 0; i + 1 < c.density_map.n_layers; ++i) {
        const std::string prefix = map_name + "interactions." + std::to_string(i) + ".";
        map.push_back(make_interaction<T>(c, state, prefix, c.density_map, l_density, l_density));
    }
    const int n_all = n * (1 + c.density_map.n_layers), n_rows = wide * (1 + c.density_map.n_layers);
    readout = make_species_linear<T>(
        state.take(map_name + "readout.weight", shape({n_m, n_all, n_species * c.n_shells})), n_species,
        n_m, n_all, c.n_shells, groups, n_rows);
    const Grouped uv{c.n_transfer, n_transfer};
    transfer_mix = Linear<T>(1, n_rows, 2 * n_transfer);
    const auto& mix = state.take(map_name + "transfer.mix", shape({n_all, 2 * c.n_transfer}));
    pack(transfer_mix, mix.data(), 1, n_all, 2 * c.n_transfer, 0, groups, uv, one);
    transfer_species = rows_of<T>(state.take(map_name + "transfer.species", shape({n_species, 2 * c.n_transfer})),
                                  n_species, uv, 2);
    transfer_radial = Linear<T>(1, n_radial, n_transfer);
    const auto& transfer = state.take(map_name + "transfer.radial", shape({c.n_radial, c.n_transfer}));
    pack(transfer_radial, transfer.data(), 1, c.n_radial, c.n_transfer, 0, Grouped{c.n_radial, n_radial}, uv, one);

    make_contraction<T>(state.take(functional_name + "radial.weight", shape({n_slots, c.n_contracted})), c,
                        contraction_functional, contraction_functional_transposed);
    const int n_f = c.functional.n_channels, wide_f = n_channels_functional, n_layers = c.functional.n_layers;
    const Grouped groups_f{n_f, wide_f};
    species = rows_of<T>(state.take(functional_name + "species", shape({n_species, n_f})), n_species, groups_f, 1);
    density = make_species_linear<T>(
        state.take(functional_name + "density.weight", shape({l_static + 1, c.n_shells, n_species * n_f})),
        n_species, l_static + 1, c.n_shells, n_f, Grouped{c.n_shells, n_shells}, n_shells);
    for (int i = 0; i < n_layers; ++i) {
        const int l_needed = i + 1 == n_layers ? 0 : l_density;
        const std::string number = std::to_string(i) + ".";
        if (uses_neighbours()) {
            functional.push_back(make_interaction<T>(c, state, functional_name + "interactions." + number,
                                                     c.functional, c.functional.l_features, l_needed));
        } else {
            functional.push_back(make_local<T>(c, state, functional_name + "local_interactions." + number,
                                               c.functional, l_needed));
        }
    }
    const Grouped hidden_groups{c.n_hidden, padded<T>(c.n_hidden)};
    hidden = Linear<T>(1, n_layers * wide_f, hidden_groups.n_padded);
    const auto& w = state.take(functional_name + "hidden.weight", shape({c.n_hidden, n_layers * n_f}));
    for (int o = 0; o < c.n_hidden; ++o) {
        for (int i = 0; i < n_layers * n_f; ++i) {
            hidden.set(0, groups_f(i), o, w[static_cast<std::size_t>(o) * n_layers * n_f + i]);
        }
    }
    hidden_bias = rows_of<T>(state.take(functional_name + "hidden.bias", shape({c.n_hidden})), 1, hidden_groups, 1);
    out = rows_of<T>(state.take(functional_name + "out.weight", shape({1, c.n_hidden})), 1, hidden_groups, 1);
    out_bias = state.take(functional_name + "out.bias", shape({1}))[0];
    direct = rows_of<T>(state.take(functional_name + "direct", shape({n_layers * n_f, 1})), 1, groups_f, n_layers);

    const std::string white = "whitening.";
    const auto& matrices = state.take(white + "to_coefficients", shape({n_m, n_species, c.n_shells, c.n_shells}));
    for (int s = 0; s < n_species; ++s) {
        Linear<double> linear(n_m, padded<double>(c.n_shells), padded<double>(c.n_shells));
        for (int l = 0; l < n_m; ++l) {
            for (int a = 0; a < c.n_shells; ++a) {
                for (int b = 0; b < c.n_shells; ++b) {
                    const std::size_t row = (static_cast<std::size_t>(l) * n_species + s) * c.n_shells + a;
                    linear.set(l, a, b, matrices[row * c.n_shells + b]);
                }
            }
        }
        to_coefficients.push_back(std::move(linear));
    }
    const Shape by_shell = shape({n_species, c.n_shells}), by_species = shape({n_species});
    offset = state.take(white + "offset", by_shell);
    first_moment = state.take(white + "first_moment", by_shell);
    charge_of = state.take(white + "charge_of", by_shell);
    charge_offset = state.take(white + "charge_offset", by_species);
    unit_charge = state.take(white + "unit_charge", by_shell);
    reference_energies = state.take("reference_energies", by_species);
    energy_scale = state.take("energy_scale", {})[0];
}

template struct Weights<float>;
template struct Weights<double>;

}  // namespace engine
}  // namespace densnet

#include "weights.hpp"

#include <stdexcept>

#include "dense.hpp"

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

// Put a matrix into a Linear, from input `first` on.
template <typename T>
void pack(Linear<T>& linear, int l, int first, const Dense& matrix, const Grouped& row, const Grouped& column) {
    for (int r = 0; r < matrix.rows; ++r) {
        for (int c = 0; c < matrix.columns; ++c) linear.set(l, first + row(r), column(c), matrix(r, c));
    }
}

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

// How a model makes the n channels of its first features of what is fixed.
struct Start {
    std::vector<std::vector<Dense>> of;  // of each species, or of all, and l: (inputs, n)
    std::vector<Dense> constant;         // (1, n) of each species, added to the scalars; may be empty
    int width;                           // of the inputs, padded
};

// From what is fixed, through the channels, by one matrix (n, n_out) for each l in l_from … l_to.
template <typename T, typename Matrix>
Fixed<T> make_fixed(const Start& start, int l_from, int l_to, const Grouped& columns, int n_columns,
                    const Matrix& matrix) {
    Fixed<T> fixed;
    if (l_from > l_to) return fixed;
    const Grouped inputs{start.width, start.width};
    for (const auto& of_l : start.of) {
        Linear<T> linear(l_to + 1, start.width, n_columns);
        std::vector<int> n_in(l_to + 1, 0);
        for (int l = l_from; l <= l_to; ++l) {
            n_in[l] = of_l[l].rows;
            pack(linear, l, 0, of_l[l] * matrix(l), inputs, columns);
        }
        fixed.of.push_back(std::move(linear));
        fixed.n_in.push_back(std::move(n_in));
    }
    if (l_from == 0 && !start.constant.empty()) {
        std::vector<double> rows;
        for (const Dense& constant : start.constant) {
            const Dense row = constant * matrix(0);
            rows.insert(rows.end(), row.values.begin(), row.values.end());
        }
        const int n_species = static_cast<int>(start.constant.size());
        fixed.constant = rows_of<T>(rows, n_species, columns, n_columns / columns.n_padded);
    }
    return fixed;
}

// Matrices of SphereProduct and of the skip connection around it, as the model has them.
class ProductMatrices {
public:
    ProductMatrices(const State& state, const std::string& prefix, int l_in, int l_out, int l_readout, int n,
                    int n_inputs)
        : n_(n), l_out_(l_out), l_scale_(l_in + 1.0), n_inputs_(n_inputs),
          factors_(state.take(prefix + "factors.weight", shape({l_in + 1, n_inputs * n, 3 * n}))),
          combine_(state.take(prefix + "combine.weight", shape({l_out + 1, 3 * n, n}))),
          high_(state.take(prefix + "high", shape({l_readout - l_out, 2 * n, n}))) {}

    // Of input group i, (n, 3 n).
    Dense factors(int l, int i) const {
        return matrix_of(factors_, l, n_inputs_ * n_, 3 * n_).row_block(i * n_, n_);
    }
    // Of a, a·b and, up to l_out, a·b·c.
    Dense combine(int l) const {
        Dense result = l <= l_out_ ? matrix_of(combine_, l, 3 * n_, n_) : matrix_of(high_, l - l_out_ - 1, 2 * n_, n_);
        // Of two factors each carries 1/s to the grid and the result s back from it.
        for (int r = n_; r < result.rows; ++r) {
            for (int c = 0; c < n_; ++c) result(r, c) /= r < 2 * n_ ? l_scale_ : l_scale_ * l_scale_;
        }
        return result;
    }

private:
    int n_, l_out_;
    double l_scale_;
    int n_inputs_;
    const std::vector<double>&factors_, &combine_, &high_;
};

// What a layer's product is made of and for.
struct Role {
    LayerKind kind;
    bool first;    // there is no layer before: its features are what is fixed
    bool skipped;  // a skip connection leads around it
    bool final;    // only the read-outs see its result, and contain its weights
    int l_needed;  // results above are not used
};

template <typename T>
Product<T> make_product(const Configuration& c, const State& state, const std::string& prefix,
                        const NetworkSizes& sizes, int l_readout, const Start& start, const Role& role) {
    const int n = sizes.n_channels, wide = padded<T>(n), l_in = sizes.l_two_body, l_out = sizes.l_features;
    const int n_inputs = role.kind == LayerKind::interaction ? 2 : 1;
    const ProductMatrices w(state, prefix + "product.", l_in, l_out, l_readout, n, n_inputs);
    const int l_low = std::min(l_out, role.l_needed), l_high = std::min(l_readout, role.l_needed);
    const bool local = role.kind == LayerKind::local && !role.first;
    const int l_moving = role.kind == LayerKind::interaction ? l_in : local ? l_out : -1;
    const int l_fixed = local ? l_out + 1 : 0;
    const int degree = std::max(3 * l_in + l_low, 2 * l_in + l_high);
    const Grouped groups{n, wide};
    Product<T> product{l_in, l_low, l_high, l_fixed, l_moving, wide, Orbits<T>(rule_for(c.rules, degree)),
                       {}, Linear<T>(l_moving + 1, wide, 3 * wide), Aligned<T>(), {}, Linear<T>()};
    product.factors_fixed = make_fixed<T>(start, l_fixed, l_in, groups, 3 * wide,
                                          [&](int l) { return w.factors(l, n_inputs - 1); });
    for (int l = 0; l <= l_moving; ++l) pack(product.factors, l, 0, w.factors(l, 0), groups, groups);
    product.scale = rows_of<T>(state.take(prefix + "product.species_scale", shape({c.n_species, 3 * n})),
                               c.n_species, groups, 3);
    if (role.final) return product;
    const bool features = role.skipped && !role.first;
    product.low = Linear<T>(l_low + 1, (features ? 4 : 3) * wide, wide);
    for (int l = 0; l <= l_low; ++l) pack(product.low, l, 0, w.combine(l), groups, groups);
    if (!role.skipped) return product;
    const auto& skip = state.take(prefix + "skip.weight", shape({l_out + 1, n, n}));
    const auto skip_of = [&](int l) { return matrix_of(skip, l, n, n); };
    if (features) {
        for (int l = 0; l <= l_low; ++l) pack(product.low, l, 3 * wide, skip_of(l), groups, groups);
    } else {
        product.skip_fixed = make_fixed<T>(start, 0, l_low, groups, wide, skip_of);
    }
    return product;
}

template <typename T>
Layer<T> make_layer(const Configuration& c, const State& state, const std::string& prefix,
                    const NetworkSizes& sizes, int l_readout, const Start& start, const Role& role) {
    const int n = sizes.n_channels, wide = padded<T>(n), radial = padded<T>(c.n_contracted);
    const int l_filter = sizes.l_two_body, l_features = sizes.l_features;
    const Grouped groups{n, wide};
    Layer<T> layer{role.kind, l_features, l_filter, {}, Linear<T>(), Linear<T>(), {},
                   make_product<T>(c, state, prefix, sizes, l_readout, start, role)};
    if (role.kind != LayerKind::interaction) return layer;
    const auto& mix = state.take(prefix + "convolution.mix.weight", shape({l_features + 1, n, n}));
    const auto mix_of = [&](int l) { return matrix_of(mix, l, n, n); };
    if (role.first) {
        layer.mix_fixed = make_fixed<T>(start, 0, l_features, groups, wide, mix_of);
    } else {
        layer.mix = Linear<T>(l_features + 1, wide, wide);
        for (int l = 0; l <= l_features; ++l) pack(layer.mix, l, 0, mix_of(l), groups, groups);
    }
    const auto& filter =
        state.take(prefix + "convolution.filter.weight", shape({l_filter + 1, c.n_contracted, n}));
    layer.filter = Linear<T>(1, radial, (l_filter + 1) * wide);
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
      n_transfer(padded<T>(c.n_transfer)), l_static(c.functional.l_two_body) {
    check(c.l_density >= 1 && c.l_density <= kMaxL, "the density basis must have l between 1 and " + std::to_string(kMaxL));
    check_sizes(c.density_map, c, "density_map");
    check_sizes(c.functional, c, "energy_functional");
    make_whitening(state);
    make_map(state);
    make_functional(state);
}

template <typename T>
void Weights<T>::make_whitening(const State& state) {
    const Configuration& c = sizes;
    const int n_m = c.l_density + 1;
    const std::string white = "whitening.";
    const auto& matrices = state.take(white + "to_coefficients", shape({n_m, c.n_species, c.n_shells, c.n_shells}));
    const Grouped shells{c.n_shells, padded<double>(c.n_shells)};
    for (int s = 0; s < c.n_species; ++s) {
        Linear<double> linear(n_m, shells.n_padded, shells.n_padded);
        for (int l = 0; l < n_m; ++l) {
            pack(linear, l, 0, matrix_of(matrices, l * c.n_species + s, c.n_shells, c.n_shells), shells, shells);
        }
        to_coefficients.push_back(std::move(linear));
    }
    const Shape by_shell = shape({c.n_species, c.n_shells}), by_species = shape({c.n_species});
    offset = state.take(white + "offset", by_shell);
    first_moment = state.take(white + "first_moment", by_shell);
    charge_of = state.take(white + "charge_of", by_shell);
    charge_offset = state.take(white + "charge_offset", by_species);
    unit_charge = state.take(white + "unit_charge", by_shell);
    reference_energies = state.take("reference_energies", by_species);
    energy_scale = state.take("energy_scale", {})[0];
}

template <typename T>
void Weights<T>::make_map(const State& state) {
    const Configuration& c = sizes;
    const std::string name = "density_map.";
    const int n_m = c.l_density + 1, n_layers = c.density_map.n_layers;
    const int l_low = c.density_map.l_features, l_in = c.density_map.l_two_body;
    make_contraction<T>(
        state.take(name + "radial.weight", shape({c.n_radial * c.n_species * c.n_species, c.n_contracted})), c,
        contraction_map, contraction_map_transposed);
    const int n = c.density_map.n_channels, wide = n_channels_map;
    const Grouped groups{n, wide}, contracted{c.n_contracted, n_contracted};
    const auto& two_body = state.take(name + "two_body.weight", shape({n_m, c.n_contracted, n}));
    Start start{std::vector<std::vector<Dense>>(1), {}, n_contracted};
    for (int l = 0; l < n_m; ++l) start.of[0].push_back(matrix_of(two_body, l, c.n_contracted, n));

    std::vector<ProductMatrices> products;
    for (int i = 0; i < n_layers; ++i) {
        const std::string prefix = i == 0 ? name : name + "interactions." + std::to_string(i - 1) + ".";
        const Role role{i == 0 ? LayerKind::first : LayerKind::interaction, i == 0, i > 0, i + 1 == n_layers, c.l_density};
        map.push_back(make_layer<T>(c, state, prefix, c.density_map, c.l_density, start, role));
        products.emplace_back(state, prefix + "product.", l_in, l_low, c.l_density, n, i == 0 ? 1 : 2);
    }
    const std::vector<double>* skip = nullptr;
    if (n_layers > 1) {
        const std::string prefix = name + "interactions." + std::to_string(n_layers - 2) + ".";
        skip = &state.take(prefix + "skip.weight", shape({l_low + 1, n, n}));
    }
    // What the read-outs see at some l, in the order of Network::seen, through a matrix of the model's that
    // sees the channels of neighbour sums and of every layer.
    const auto seen = [&](int l, const Dense& whole) {
        const auto part = [&](int i) { return whole.row_block(i * n, n); };
        std::vector<Dense> blocks{start.of[0][l] * part(0)};
        for (int i = 0; i < n_layers; ++i) {
            const bool last = i + 1 == n_layers;
            if (l <= l_low && !last) {
                Dense own = part(i + 1);
                if (i + 2 == n_layers) own = own + matrix_of(*skip, l, n, n) * part(i + 2);
                blocks.push_back(std::move(own));
            } else {
                const Dense combined = products[i].combine(l) * part(i + 1);
                // Above l_in there is nothing of a.
                const int skipped = l <= l_in ? 0 : n;
                blocks.push_back(combined.row_block(skipped, combined.rows - skipped));
            }
        }
        return blocks;
    };
    const auto pack_seen = [&](int l, const Dense& whole, const Grouped& columns, int n_columns) {
        const std::vector<Dense> blocks = seen(l, whole);
        int n_rows = n_contracted;
        for (std::size_t i = 1; i < blocks.size(); ++i) n_rows += blocks[i].rows / n * wide;
        Linear<T> linear(1, n_rows, n_columns);
        pack(linear, 0, 0, blocks[0], contracted, columns);
        int row = n_contracted;
        for (std::size_t i = 1; i < blocks.size(); ++i) {
            pack(linear, 0, row, blocks[i], groups, columns);
            row += blocks[i].rows / n * wide;
        }
        return linear;
    };
    const int n_all = n * (1 + n_layers);
    const auto& to_components = state.take(name + "readout.weight", shape({n_m, n_all, c.n_species * c.n_shells}));
    for (int s = 0; s < c.n_species; ++s) {
        readout.emplace_back();
        n_components.emplace_back();
        l_components.push_back(0);
        for (int l = 0; l < n_m; ++l) {
            const Dense own = matrix_of(to_components, l, n_all, c.n_species * c.n_shells)
                                  .block(0, n_all, s * c.n_shells, c.n_shells);
            int count = 0;
            for (int o = 0; o < c.n_shells; ++o) {
                bool used = l == 0 && unit_charge[static_cast<std::size_t>(s) * c.n_shells + o] != 0.0;
                for (int r = 0; r < n_all; ++r) used = used || own(r, o) != 0.0;
                if (used) count = o + 1;
            }
            n_components[s].push_back(count);
            if (count > 0) l_components[s] = l;
            readout[s].push_back(pack_seen(l, own, Grouped{c.n_shells, n_shells}, n_shells));
        }
    }
    const Grouped uv{c.n_transfer, n_transfer};
    const auto& mix = state.take(name + "transfer.mix", shape({n_all, 2 * c.n_transfer}));
    transfer_mix = pack_seen(0, matrix_of(mix, 0, n_all, 2 * c.n_transfer), uv, 2 * n_transfer);
    transfer_species = rows_of<T>(state.take(name + "transfer.species", shape({c.n_species, 2 * c.n_transfer})),
                                  c.n_species, uv, 2);
    transfer_radial = Linear<T>(1, n_radial, n_transfer);
    const auto& transfer = state.take(name + "transfer.radial", shape({c.n_radial, c.n_transfer}));
    pack(transfer_radial, 0, 0, matrix_of(transfer, 0, c.n_radial, c.n_transfer), Grouped{c.n_radial, n_radial}, uv);
}

template <typename T>
void Weights<T>::make_functional(const State& state) {
    const Configuration& c = sizes;
    const std::string name = "energy_functional.";
    make_contraction<T>(
        state.take(name + "radial.weight", shape({c.n_radial * c.n_species * c.n_species, c.n_contracted})), c,
        contraction_functional, contraction_functional_transposed);
    const int n = c.functional.n_channels, wide = n_channels_functional, n_layers = c.functional.n_layers;
    const Grouped groups{n, wide};
    const auto& species = state.take(name + "species", shape({c.n_species, n}));
    const auto& density = state.take(name + "density.weight", shape({l_static + 1, c.n_shells, c.n_species * n}));
    Start start{{}, {}, n_shells};
    for (int s = 0; s < c.n_species; ++s) {
        start.of.emplace_back();
        for (int l = 0; l <= l_static; ++l) {
            const int count = uses_density() ? n_components[s][l] : 0;
            const Dense of_l = matrix_of(density, l, c.n_shells, c.n_species * n);
            start.of[s].push_back(of_l.block(0, count, s * n, n));
        }
        start.constant.push_back(matrix_of(species, s, 1, n));
    }
    for (int i = 0; i < n_layers; ++i) {
        const bool last = i + 1 == n_layers;
        const std::string prefix = name + (uses_neighbours() ? "interactions." : "local_interactions.") + std::to_string(i) + ".";
        const Role role{uses_neighbours() ? LayerKind::interaction : LayerKind::local, i == 0, true, false,
                        last ? 0 : c.l_density};
        functional.push_back(make_layer<T>(c, state, prefix, c.functional, c.functional.l_features, start, role));
    }
    const Grouped hidden_groups{c.n_hidden, padded<T>(c.n_hidden)};
    hidden = Linear<T>(1, n_layers * wide, hidden_groups.n_padded);
    const auto& w = state.take(name + "hidden.weight", shape({c.n_hidden, n_layers * n}));
    for (int o = 0; o < c.n_hidden; ++o) {
        for (int i = 0; i < n_layers * n; ++i) {
            hidden.set(0, groups(i), o, w[static_cast<std::size_t>(o) * n_layers * n + i]);
        }
    }
    hidden_bias = rows_of<T>(state.take(name + "hidden.bias", shape({c.n_hidden})), 1, hidden_groups, 1);
    out = rows_of<T>(state.take(name + "out.weight", shape({1, c.n_hidden})), 1, hidden_groups, 1);
    out_bias = state.take(name + "out.bias", shape({1}))[0];
    direct = rows_of<T>(state.take(name + "direct", shape({n_layers * n, 1})), 1, groups, n_layers);
}

template struct Weights<float>;
template struct Weights<double>;

}  // namespace engine
}  // namespace densnet

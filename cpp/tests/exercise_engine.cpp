// Runs the engine on small models of every kind, for the sanitizers (`make asan`), and checks its
// forces against central differences of its energies.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>

#include "../engine/kernels.hpp"
#include "densnet/engine.hpp"

namespace {

using namespace densnet::engine;

int n_failed = 0;

void expect(bool good, const char* what) {
    if (good) return;
    std::printf("failed: %s\n", what);
    ++n_failed;
}

// The rule with 26 points, exact to degree 7: 6 on axes, 12 between two, 8 between three.
SphereRule rule() {
    SphereRule rule{7, {}, {}};
    const double weights[4] = {0.0, 1.0 / 21.0, 4.0 / 105.0, 9.0 / 280.0};
    for (int x = -1; x <= 1; ++x) {
        for (int y = -1; y <= 1; ++y) {
            for (int z = -1; z <= 1; ++z) {
                const int n = x * x + y * y + z * z;
                if (n == 0) continue;
                for (const int c : {x, y, z}) rule.points.push_back(c / std::sqrt(n));
                rule.weights.push_back(weights[n]);
            }
        }
    }
    return rule;
}

Configuration configuration(Inputs inputs, int n_layers) {
    Configuration c;
    c.n_species = 2;
    c.cutoff = 6.0;
    c.n_radial = 3;
    c.n_contracted = 5;
    c.density_map = {3, n_layers, 1, 2};
    c.n_transfer = 2;
    c.functional = {17, n_layers, 1, 2};
    c.n_hidden = 7;
    c.inputs = inputs;
    c.l_density = 2;
    c.n_shells = 2;
    // s s p d of the first species, s p of the second, in (9, 2)
    c.order = {{0, 1, 2, 4, 6, 8, 10, 12, 14, 16}, {0, 2, 4, 6}};
    c.rules = {rule()};
    return c;
}

std::map<std::string, Tensor> random_weights(const Configuration& c) {
    std::mt19937 generator(5);
    std::normal_distribution<double> normal;
    std::map<std::string, Tensor> weights;
    const auto add = [&](const std::string& name, std::initializer_list<int> sizes, double scale) {
        Tensor tensor;
        std::size_t size = 1;
        for (const int n : sizes) {
            tensor.shape.push_back(static_cast<std::size_t>(n));
            size *= static_cast<std::size_t>(n);
        }
        for (std::size_t i = 0; i < size; ++i) tensor.values.push_back(scale * normal(generator));
        weights.emplace(name, std::move(tensor));
    };
    const int n_s = c.n_species, n_m = c.l_density + 1, slots = c.n_radial * n_s * n_s;
    const auto product = [&](const std::string& name, const NetworkSizes& z, int n_in, int l_readout) {
        const int n = z.n_channels;
        add(name + "factors.weight", {z.l_two_body + 1, n_in, 3 * n}, 1.0 / std::sqrt(n_in));
        add(name + "species_scale", {n_s, 3 * n}, 1.0);
        add(name + "combine.weight", {z.l_features + 1, 3 * n, n}, 1.0 / std::sqrt(3 * n));
        add(name + "high", {l_readout - z.l_features, 2 * n, n}, 1.0 / std::sqrt(2 * n));
    };
    const auto interaction = [&](const std::string& name, const NetworkSizes& z, int l_readout) {
        const int n = z.n_channels;
        product(name + "product.", z, 2 * n, l_readout);
        add(name + "skip.weight", {z.l_features + 1, n, n}, 0.3);
        add(name + "convolution.mix.weight", {z.l_features + 1, n, n}, 0.3);
        add(name + "convolution.filter.weight", {z.l_two_body + 1, c.n_contracted, n}, 0.3);
    };
    const NetworkSizes &map = c.density_map, &functional = c.functional;
    const int n_all = map.n_channels * (map.n_layers + 1), n_f = functional.n_channels;
    add("density_map.radial.weight", {slots, c.n_contracted}, 1.0);
    add("density_map.two_body.weight", {n_m, c.n_contracted, map.n_channels}, 0.5);
    product("density_map.product.", map, map.n_channels, c.l_density);
    for (int i = 0; i + 1 < map.n_layers; ++i) {
        interaction("density_map.interactions." + std::to_string(i) + ".", map, c.l_density);
    }
    add("density_map.readout.weight", {n_m, n_all, n_s * c.n_shells}, 0.3);
    add("density_map.transfer.species", {n_s, 2 * c.n_transfer}, 0.5);
    add("density_map.transfer.mix", {n_all, 2 * c.n_transfer}, 0.3);
    add("density_map.transfer.radial", {c.n_radial, c.n_transfer}, 0.3);
    add("energy_functional.radial.weight", {slots, c.n_contracted}, 1.0);
    add("energy_functional.species", {n_s, n_f}, 1.0);
    add("energy_functional.density.weight", {functional.l_two_body + 1, c.n_shells, n_s * n_f}, 0.5);
    for (int i = 0; i < functional.n_layers; ++i) {
        const std::string number = std::to_string(i) + ".";
        if (c.inputs == Inputs::density) {
            const std::string name = "energy_functional.local_interactions." + number;
            product(name + "product.", functional, n_f, functional.l_features);
            add(name + "skip.weight", {functional.l_features + 1, n_f, n_f}, 0.3);
        } else {
            interaction("energy_functional.interactions." + number, functional, functional.l_features);
        }
    }
    add("energy_functional.hidden.weight", {c.n_hidden, n_f * functional.n_layers}, 0.2);
    add("energy_functional.hidden.bias", {c.n_hidden}, 0.2);
    add("energy_functional.out.weight", {1, c.n_hidden}, 0.2);
    add("energy_functional.out.bias", {1}, 0.2);
    add("energy_functional.direct", {n_f * functional.n_layers, 1}, 0.2);
    add("whitening.to_coefficients", {n_m, n_s, c.n_shells, c.n_shells}, 0.5);
    for (const char* name : {"offset", "first_moment", "charge_of", "unit_charge"}) {
        add(std::string("whitening.") + name, {n_s, c.n_shells}, 0.5);
    }
    add("whitening.charge_offset", {n_s}, 0.1);
    add("reference_energies", {n_s}, 1.0);
    add("energy_scale", {}, 0.0);
    weights["energy_scale"].values[0] = 0.1;
    return weights;
}

struct Output {
    std::vector<double> energy, forces, virial, dipole, coefficients, charges;
};

Output evaluate(const Engine& engine, const std::vector<std::int64_t>& species,
                const std::vector<double>& positions, const Graph* graph, int n_threads) {
    const std::size_t n_atoms = species.size(), n_batch = positions.size() / (3 * n_atoms);
    const std::size_t n_functions = engine.n_functions(species.data(), n_atoms);
    Output out{std::vector<double>(n_batch),     std::vector<double>(3 * n_atoms * n_batch),
               std::vector<double>(9 * n_batch), std::vector<double>(3 * n_batch),
               std::vector<double>(n_functions * n_batch), std::vector<double>(n_atoms * n_batch)};
    engine.evaluate({n_batch, n_atoms, species.data(), positions.data(), graph}, n_threads,
                    {out.energy.data(), out.forces.data(), out.virial.data(), out.dipole.data(),
                     out.coefficients.data(), out.charges.data()},
                    nullptr);
    return out;
}

void check_model(Inputs inputs, int n_layers) {
    const Configuration c = configuration(inputs, n_layers);
    const auto weights = random_weights(c);
    const auto engine = make_engine(c, weights, false);
    const std::vector<std::int64_t> species{1, 0, 1};
    const std::vector<double> r{0.1, 0.0, -0.2, 1.9, 0.4, 0.3, 3.1, -1.6, 0.5};
    const double h = 1e-4;
    std::vector<double> steps;
    for (int sign : {1, -1}) {
        for (int k = 0; k < 9; ++k) {
            std::vector<double> moved = r;
            moved[k] += sign * h;
            steps.insert(steps.end(), moved.begin(), moved.end());
        }
    }
    const Output at = evaluate(*engine, species, r, nullptr, 1);
    const Output around = evaluate(*engine, species, steps, nullptr, 3);
    for (int k = 0; k < 9; ++k) {
        const double numeric = -(around.energy[k] - around.energy[9 + k]) / (2.0 * h);
        expect(std::abs(numeric - at.forces[k]) < 1e-7, "forces are the gradient of the energy");
    }
    const double charge = at.charges[0] + at.charges[1] + at.charges[2];
    expect(std::abs(charge) < 1e-14, "charge is conserved");
    expect(at.coefficients.size() == 18, "every atom has the functions of its element");

    std::vector<std::int64_t> receivers, senders;
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) {
            if (i == j) continue;
            receivers.push_back(i);
            senders.push_back(j);
        }
    }
    const std::vector<double> shifts(3 * receivers.size(), 0.0);
    const Graph graph{receivers.size(), receivers.data(), senders.data(), shifts.data()};
    expect(evaluate(*engine, species, r, &graph, 1).energy == at.energy, "a graph of all pairs is no other");

    const auto single = make_engine(c, weights, true);
    for (const KernelSet* set : available_kernels()) {
        use_kernels(set->single.name);
        expect(std::abs(evaluate(*engine, species, r, nullptr, 1).energy[0] - at.energy[0]) < 1e-12,
               "instruction sets agree");
        expect(std::abs(evaluate(*single, species, r, nullptr, 1).energy[0] - at.energy[0]) < 1e-4,
               "float is close to double");
    }
    use_kernels(available_kernels().front()->single.name);
    // Nobody in reach, and nobody at all.
    std::vector<double> far = r;
    far[0] += 100.0;
    evaluate(*engine, species, far, nullptr, 1);
    evaluate(*single, {0}, {0.0, 0.0, 0.0}, nullptr, 1);
}

}  // namespace

int main() {
    for (const int n_layers : {1, 2, 3}) {
        for (const Inputs inputs : {Inputs::both, Inputs::density, Inputs::geometry}) {
            check_model(inputs, n_layers);
        }
    }
    const Configuration c = configuration(Inputs::both, 1);
    auto weights = random_weights(c);
    weights.erase("energy_functional.direct");
    bool refused = false;
    try {
        make_engine(c, weights, true);
    } catch (const std::invalid_argument&) {
        refused = true;
    }
    expect(refused, "a missing weight is refused");
    std::printf("%s\n", n_failed == 0 ? "engine: all checks passed" : "engine: some checks failed");
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

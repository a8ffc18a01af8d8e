// The engine as the Python module densnet.export._engine: NumPy in, NumPy out, GIL released.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>

#include "densnet/engine.hpp"
#include "kernels.hpp"

namespace py = pybind11;
namespace engine = densnet::engine;

namespace {

using Array = py::array_t<double, py::array::c_style>;
using Indices = py::array_t<std::int64_t, py::array::c_style>;

void check(bool good, const char* message) {
    if (!good) throw std::invalid_argument(message);
}

engine::NetworkSizes sizes_of(const py::dict& sizes) {
    return {sizes["n_channels"].cast<int>(), sizes["n_layers"].cast<int>(), sizes["l_features"].cast<int>(),
            sizes["l_two_body"].cast<int>()};
}

engine::Inputs inputs_of(const std::string& name) {
    if (name == "both") return engine::Inputs::both;
    if (name == "density") return engine::Inputs::density;
    if (name == "geometry") return engine::Inputs::geometry;
    throw std::invalid_argument("inputs must be both, density or geometry, got " + name);
}

std::vector<double> values_of(const Array& array) {
    return std::vector<double>(array.data(), array.data() + array.size());
}

// `configuration` as ModelConfig.to_dict() writes it; `order` of the coefficients of each species.
std::unique_ptr<engine::Engine> make(const py::dict& configuration, int l_density, int n_shells,
                                     const std::vector<std::vector<std::int64_t>>& order,
                                     const std::vector<std::tuple<int, Array, Array>>& rules,
                                     const std::map<std::string, Array>& weights, bool single) {
    const py::dict map = configuration["density_map"], functional = configuration["energy_functional"];
    engine::Configuration c;
    c.n_species = static_cast<int>(py::len(configuration["elements"]));
    c.cutoff = configuration["cutoff"].cast<double>();
    c.n_radial = configuration["n_radial"].cast<int>();
    c.n_contracted = configuration["n_contracted"].cast<int>();
    c.density_map = sizes_of(map);
    c.n_transfer = map["n_transfer"].cast<int>();
    c.functional = sizes_of(functional);
    c.n_hidden = functional["n_hidden"].cast<int>();
    c.inputs = inputs_of(functional["inputs"].cast<std::string>());
    c.l_density = l_density;
    c.n_shells = n_shells;
    c.order = order;
    check(static_cast<int>(order.size()) == c.n_species, "order must have one row for every species");
    const std::int64_t limit = static_cast<std::int64_t>(l_density + 1) * (l_density + 1) * n_shells;
    for (const auto& row : order) {
        for (const std::int64_t at : row) check(at >= 0 && at < limit, "order points outside the components");
    }
    for (const auto& [degree, points, rule_weights] : rules) {
        check(points.ndim() == 2 && points.shape(1) == 3 && points.shape(0) == rule_weights.size(),
              "a rule must have points (n, 3) and as many weights");
        c.rules.push_back({degree, values_of(points), values_of(rule_weights)});
    }
    std::map<std::string, engine::Tensor> tensors;
    for (const auto& [name, array] : weights) {
        engine::Tensor tensor;
        for (py::ssize_t axis = 0; axis < array.ndim(); ++axis) {
            tensor.shape.push_back(static_cast<std::size_t>(array.shape(axis)));
        }
        tensor.values = values_of(array);
        tensors.emplace(name, std::move(tensor));
    }
    return engine::make_engine(c, tensors, single);
}

// Returns energy, forces, virial, dipole, coefficients, charges and, if asked for, costs.
py::tuple evaluate(const engine::Engine& model, int n_species, const Indices& species, const Array& positions,
                   const std::optional<std::tuple<Indices, Indices, Array>>& edges, int n_threads,
                   bool with_costs) {
    check(species.ndim() == 1 && species.size() > 0, "species must have one axis");
    for (py::ssize_t a = 0; a < species.size(); ++a) {
        check(species.at(a) >= 0 && species.at(a) < n_species, "species must number those of the model");
    }
    check(positions.ndim() == 3 && positions.shape(1) == species.size() && positions.shape(2) == 3,
          "positions must have shape (n_batch, n_atoms, 3)");
    check(n_threads >= 1 && n_threads <= 1024, "n_threads must lie between 1 and 1024");
    const auto n_batch = positions.shape(0), n_atoms = positions.shape(1);
    engine::Graph graph{};
    if (edges) {
        const auto& [receivers, senders, shifts] = *edges;
        check(receivers.ndim() == 1 && senders.ndim() == 1 && receivers.size() == senders.size() &&
                  shifts.ndim() == 2 && shifts.shape(0) == receivers.size() && shifts.shape(1) == 3,
              "receivers, senders and shifts must describe the same edges");
        for (py::ssize_t e = 0; e < receivers.size(); ++e) {
            const std::int64_t i = receivers.at(e), j = senders.at(e);
            check(i >= 0 && j >= 0 && i < n_batch * n_atoms && i / n_atoms == j / n_atoms &&
                      (e == 0 || receivers.at(e - 1) <= i),
                  "edges must join atoms of one structure and be sorted by receiver");
        }
        graph = {static_cast<std::size_t>(receivers.size()), receivers.data(), senders.data(), shifts.data()};
    }
    const auto n_functions = static_cast<py::ssize_t>(
        model.n_functions(species.data(), static_cast<std::size_t>(n_atoms)));
    Array energy(n_batch), forces({n_batch, n_atoms, py::ssize_t{3}});
    Array virial({n_batch, py::ssize_t{3}, py::ssize_t{3}}), dipole({n_batch, py::ssize_t{3}});
    Array coefficients({n_batch, n_functions}), charges({n_batch, n_atoms});
    const engine::Results results{energy.mutable_data(),       forces.mutable_data(),
                                  virial.mutable_data(),       dipole.mutable_data(),
                                  coefficients.mutable_data(), charges.mutable_data()};
    const engine::Batch batch{static_cast<std::size_t>(n_batch), static_cast<std::size_t>(n_atoms),
                              species.data(), positions.data(), edges ? &graph : nullptr};
    std::vector<engine::StageCost> costs;
    {
        py::gil_scoped_release release;
        model.evaluate(batch, n_threads, results, with_costs ? &costs : nullptr);
    }
    py::list stages;
    for (const auto& cost : costs) stages.append(py::make_tuple(cost.name, cost.seconds, cost.operations));
    return py::make_tuple(energy, forces, virial, dipole, coefficients, charges, stages);
}

}  // namespace

PYBIND11_MODULE(_engine, module) {
    module.doc() = "Evaluation of trained models; densnet.export.engine is the documented face.";
    py::class_<engine::Engine>(module, "Engine");
    module.def("make", &make);
    module.def("evaluate", &evaluate);
    module.def("instruction_set", [] { return std::string(engine::kernels().single.name); });
    module.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const auto* set : engine::available_kernels()) names.emplace_back(set->single.name);
        return names;
    });
    module.def("use_instruction_set", &engine::use_kernels);
}

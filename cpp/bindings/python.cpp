// The kernel as the Python module densnet.integrals._kernel: NumPy in, NumPy out, GIL released.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "densnet/kernel.hpp"
#include "densnet/vector_kernels.hpp"

namespace py = pybind11;

namespace {

using Array = py::array_t<double, py::array::c_style>;
using Indices = py::array_t<std::int64_t, py::array::c_style>;

std::atomic<std::size_t> n_calls{0};

template <typename... Parts>
void check(bool good, const Parts&... parts) {
    if (good) return;
    std::ostringstream message;
    (message << ... << parts);
    throw std::invalid_argument(message.str());
}

densnet::Metric metric_of(const std::string& name) {
    if (name == "overlap") return densnet::Metric::overlap;
    if (name == "coulomb") return densnet::Metric::coulomb;
    throw std::invalid_argument("metric must be \"overlap\" or \"coulomb\", got \"" + name + "\"");
}

void check_threads(int n_threads) {
    check(n_threads >= 1 && n_threads <= 1024, "n_threads must lie between 1 and 1024, got ",
          n_threads);
}

void check_shape(const Array& array, const std::vector<py::ssize_t>& shape, const char* name) {
    bool good = array.ndim() == static_cast<py::ssize_t>(shape.size());
    for (std::size_t i = 0; good && i < shape.size(); ++i) good = array.shape(i) == shape[i];
    if (good) return;
    std::string expected = "(";
    for (const auto n : shape) expected += std::to_string(n) + ", ";
    throw std::invalid_argument(std::string(name) + " must have shape " + expected + ")");
}

// The message is made for the offender only: one for every element would take longer than many a
// density on points.
void check_finite(const Array& array, const char* name) {
    const double* end = array.data() + array.size();
    const double* found =
        std::find_if(array.data(), end, [](double x) { return !std::isfinite(x); });
    check(found == end, name, " must be finite, element ", found - array.data(), " is not");
}

// The structures of a call; positions have a batch axis or, for a single structure, none.
densnet::Structures structures_of(const densnet::Basis& basis, const Indices& species,
                                  const Array& positions, const std::string& prefix = "") {
    check(species.ndim() == 1 && species.size() > 0, prefix, "species must have one axis");
    for (py::ssize_t a = 0; a < species.size(); ++a) {
        check(species.at(a) >= 0 &&
                  species.at(a) < static_cast<std::int64_t>(basis.species().size()),
              prefix, "species must number the species of the basis");
    }
    const py::ssize_t axes = positions.ndim();
    check((axes == 2 || axes == 3) && positions.shape(axes - 1) == 3 &&
              positions.shape(axes - 2) == species.size(),
          prefix, "positions must have shape (n_batch, n_atoms, 3), one row for every species");
    check_finite(positions, (prefix + "positions").c_str());
    const auto n_batch = axes == 3 ? positions.shape(0) : 1;
    return {&basis, species.data(), static_cast<std::size_t>(species.size()), positions.data(),
            static_cast<std::size_t>(n_batch)};
}

// Memory for a large matrix in huge pages where the system has them: a page fault for every 4 KiB
// would cost more than the integrals. It arrives as zeros, so that parts that vanish are not touched.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

Array make_matrix(std::size_t n_batch, std::size_t n, bool& zeroed) {
    const std::vector<std::size_t> shape{n_batch, n, n};
    zeroed = false;
#if defined(__linux__)
    const std::size_t bytes = n_batch * n * n * sizeof(double);
    if (bytes >= 32 * kHugePage) {
        const std::size_t mapped = bytes + kHugePage;
        void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        const auto address = reinterpret_cast<std::uintptr_t>(memory);
        const std::uintptr_t aligned = (address + kHugePage - 1) / kHugePage * kHugePage;
        madvise(reinterpret_cast<void*>(aligned), bytes, MADV_HUGEPAGE);
        struct Mapping {
            void* memory;
            std::size_t size;
        };
        auto* mapping = new Mapping{memory, mapped};
        zeroed = true;
        return Array(shape, reinterpret_cast<double*>(aligned), py::capsule(mapping, [](void* p) {
                         auto* mapping = static_cast<Mapping*>(p);
                         munmap(mapping->memory, mapping->size);
                         delete mapping;
                     }));
    }
#endif
    return Array(shape);
}

std::shared_ptr<densnet::Basis> make_basis(const py::object& table) {
    return std::make_shared<densnet::Basis>(
        table.attr("shell_offset").cast<std::vector<std::int64_t>>(),
        table.attr("l").cast<std::vector<std::int64_t>>(),
        table.attr("primitive_offset").cast<std::vector<std::int64_t>>(),
        table.attr("exponents").cast<std::vector<double>>(),
        table.attr("weights").cast<std::vector<double>>());
}

Array metric_matrix(const std::string& metric, const densnet::Basis& basis, const Indices& species,
                    const Array& positions, int n_threads, std::optional<Array> given) {
    const densnet::Metric which = metric_of(metric);
    const auto structures = structures_of(basis, species, positions);
    check_threads(n_threads);
    const std::size_t n = structures.n_functions();
    bool zeroed = false;
    if (given) {
        const auto rows = static_cast<py::ssize_t>(n);
        check_shape(*given, {static_cast<py::ssize_t>(structures.n_batch), rows, rows}, "out");
    }
    Array out = given ? *given : make_matrix(structures.n_batch, n, zeroed);
    double* target = out.mutable_data();
    ++n_calls;
    py::gil_scoped_release release;
    densnet::metric_matrix(which, structures, n_threads, zeroed, target);
    return out;
}

Array cross_matrix(const std::string& metric, const densnet::Basis& basis, const Indices& species,
                   const Array& positions, const densnet::Basis& other_basis,
                   const Indices& other_species, const Array& other_positions, int n_threads) {
    const densnet::Metric which = metric_of(metric);
    const auto rows = structures_of(basis, species, positions);
    const auto columns = structures_of(other_basis, other_species, other_positions, "other_");
    check(rows.n_batch == columns.n_batch, "other_positions must be as many as positions");
    check_threads(n_threads);
    Array out(std::vector<std::size_t>{rows.n_batch, rows.n_functions(), columns.n_functions()});
    double* target = out.mutable_data();
    ++n_calls;
    py::gil_scoped_release release;
    densnet::cross_matrix(which, rows, columns, n_threads, target);
    return out;
}

py::tuple metric_vjp(const std::string& metric, const densnet::Basis& basis, const Indices& species,
                     const Array& positions, const Array& weights, int n_threads) {
    const densnet::Metric which = metric_of(metric);
    const auto structures = structures_of(basis, species, positions);
    const auto n = static_cast<py::ssize_t>(structures.n_functions());
    const auto n_batch = static_cast<py::ssize_t>(structures.n_batch);
    check_shape(weights, {n_batch, n, n}, "weights");
    check_finite(weights, "weights");
    check_threads(n_threads);
    Array by_position({n_batch, static_cast<py::ssize_t>(structures.n_atoms), py::ssize_t{3}});
    Array by_exponent(static_cast<py::ssize_t>(basis.n_primitives()));
    double* position_target = by_position.mutable_data();
    double* exponent_target = by_exponent.mutable_data();
    const double* w = weights.data();
    ++n_calls;
    {
        py::gil_scoped_release release;
        densnet::metric_vjp(which, structures, w, n_threads, position_target, exponent_target);
    }
    return py::make_tuple(by_position, by_exponent);
}

void check_coefficients(const densnet::Structures& structures, const Array& coefficients,
                        const char* name) {
    check_shape(coefficients,
                {static_cast<py::ssize_t>(structures.n_batch),
                 static_cast<py::ssize_t>(structures.n_functions())},
                name);
    check_finite(coefficients, name);
}

Array metric_apply(const std::string& metric, const densnet::Basis& basis, const Indices& species,
                   const Array& positions, const Array& coefficients, int n_threads) {
    const densnet::Metric which = metric_of(metric);
    const auto structures = structures_of(basis, species, positions);
    check_coefficients(structures, coefficients, "coefficients");
    check_threads(n_threads);
    Array out({coefficients.shape(0), coefficients.shape(1)});
    double* target = out.mutable_data();
    const double* c = coefficients.data();
    ++n_calls;
    py::gil_scoped_release release;
    densnet::metric_apply(which, structures, c, n_threads, target);
    return out;
}

py::tuple quadratic_gradient(const std::string& metric, const densnet::Basis& basis,
                             const Indices& species, const Array& positions,
                             const Array& coefficients, int n_threads) {
    const densnet::Metric which = metric_of(metric);
    const auto structures = structures_of(basis, species, positions);
    check_coefficients(structures, coefficients, "coefficients");
    check_threads(n_threads);
    Array applied({coefficients.shape(0), coefficients.shape(1)});
    Array by_position({coefficients.shape(0), static_cast<py::ssize_t>(structures.n_atoms),
                       py::ssize_t{3}});
    Array by_exponent(static_cast<py::ssize_t>(basis.n_primitives()));
    double* targets[3] = {applied.mutable_data(), by_position.mutable_data(),
                          by_exponent.mutable_data()};
    const double* c = coefficients.data();
    ++n_calls;
    {
        py::gil_scoped_release release;
        densnet::quadratic_gradient(which, structures, c, n_threads, targets[0], targets[1],
                                    targets[2]);
    }
    return py::make_tuple(applied, by_position, by_exponent);
}

// The checks that the functions on points share; returns the structure.
densnet::Structures check_points(const densnet::Basis& basis, const Indices& species,
                                 const Array& positions, const Array& coefficients,
                                 const Array& points, int n_threads) {
    const auto structure = structures_of(basis, species, positions);
    check(structure.n_batch == 1, "positions must be those of one structure");
    check_shape(coefficients, {static_cast<py::ssize_t>(structure.n_functions())}, "coefficients");
    check_finite(coefficients, "coefficients");
    check(points.ndim() == 2 && points.shape(1) == 3, "points must have shape (n_points, 3)");
    check_finite(points, "points");
    check_threads(n_threads);
    return structure;
}

Array density_on_points(const densnet::Basis& basis, const Indices& species, const Array& positions,
                        const Array& coefficients, const Array& points, int n_threads) {
    const auto structure =
        check_points(basis, species, positions, coefficients, points, n_threads);
    Array values(points.shape(0));
    double* target = values.mutable_data();
    const double *c = coefficients.data(), *r = points.data();
    const auto n_points = static_cast<std::size_t>(points.shape(0));
    ++n_calls;
    py::gil_scoped_release release;
    densnet::density_on_points(structure, c, r, n_points, n_threads, target, nullptr);
    return values;
}

py::tuple density_and_gradient_on_points(const densnet::Basis& basis, const Indices& species,
                                         const Array& positions, const Array& coefficients,
                                         const Array& points, int n_threads) {
    const auto structure =
        check_points(basis, species, positions, coefficients, points, n_threads);
    Array values(points.shape(0));
    Array gradients({points.shape(0), py::ssize_t{3}});
    double *target = values.mutable_data(), *gradient_target = gradients.mutable_data();
    const double *c = coefficients.data(), *r = points.data();
    const auto n_points = static_cast<std::size_t>(points.shape(0));
    ++n_calls;
    {
        py::gil_scoped_release release;
        densnet::density_on_points(structure, c, r, n_points, n_threads, target, gradient_target);
    }
    return py::make_tuple(values, gradients);
}

Array potential_on_points(const densnet::Basis& basis, const Indices& species,
                          const Array& positions, const Array& coefficients, const Array& points,
                          int n_threads) {
    const auto structure =
        check_points(basis, species, positions, coefficients, points, n_threads);
    Array values(points.shape(0));
    double* target = values.mutable_data();
    const double *c = coefficients.data(), *r = points.data();
    const auto n_points = static_cast<std::size_t>(points.shape(0));
    ++n_calls;
    py::gil_scoped_release release;
    densnet::potential_on_points(structure, c, r, n_points, n_threads, target);
    return values;
}

std::string compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

}  // namespace

PYBIND11_MODULE(_kernel, module) {
    module.doc() = "Integrals of density functions; densnet.integrals is the documented face.";
    module.attr("L_MAX") = densnet::kMaxL;
    module.attr("OVERLAP_ERROR") = densnet::kOverlapError;
    module.attr("COULOMB_ERROR") = densnet::kCoulombError;
    py::class_<densnet::Basis, std::shared_ptr<densnet::Basis>>(module, "Basis");
    module.def("make_basis", &make_basis);
    module.def("calls", [] { return n_calls.load(); });
    module.def("compiler", &compiler);
    module.def("instruction_set", [] { return std::string(densnet::vector_kernels().name); });
    module.def("instruction_sets", [] {
        std::vector<std::string> names;
        for (const auto* kernels : densnet::available_kernels()) names.emplace_back(kernels->name);
        return names;
    });
    module.def("use_instruction_set", &densnet::use_kernels);
    module.def("metric_matrix", &metric_matrix, py::arg("metric"), py::arg("basis"), py::arg("species"),
               py::arg("positions"), py::arg("n_threads"), py::arg("out").noconvert() = py::none());
    module.def("cross_matrix", &cross_matrix);
    module.def("metric_vjp", &metric_vjp);
    module.def("metric_apply", &metric_apply);
    module.def("quadratic_gradient", &quadratic_gradient);
    module.def("density_on_points", &density_on_points);
    module.def("density_and_gradient_on_points", &density_and_gradient_on_points);
    module.def("potential_on_points", &potential_on_points);
}

// The Python face of the convolution: NumPy arrays in place, checked, the interpreter's lock released.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

#include "convolution.hpp"

namespace py = pybind11;

namespace {

using Index = py::array_t<std::int64_t, py::array::c_style>;
template <typename Real>
using Array = py::array_t<Real, py::array::c_style>;

const densnet::ConvolutionKernels<float>& kernels(float) {
    return densnet::convolution_set().single;
}
const densnet::ConvolutionKernels<double>& kernels(double) {
    return densnet::convolution_set().twice;
}

void require(bool condition, const std::string& message) {
    if (!condition) throw std::invalid_argument(message);
}

void check_nodes(const Index& index, std::int64_t n_edges, std::int64_t n_nodes,
                 const std::string& name) {
    require(index.ndim() == 1 && index.shape(0) == n_edges,
            name + " must hold one node of every edge");
    const std::int64_t* node = index.data();
    for (std::int64_t e = 0; e < n_edges; ++e)
        require(node[e] >= 0 && node[e] < n_nodes, name + " names a node that is not there");
}

template <typename Real>
void check_grid(const Array<Real>& array, const densnet::EdgeSizes& sizes, const std::string& name) {
    require(array.ndim() == 3 && array.shape(0) == sizes.n_points &&
                array.shape(1) == sizes.n_nodes && array.shape(2) == sizes.n_channels,
            name + " must have the shape (n_points, n_nodes, n_channels)");
}

template <typename Real>
densnet::EdgeSizes sizes_of(const Array<Real>& radial, const Array<Real>& polynomials,
                            const Array<Real>& on_nodes) {
    require(radial.ndim() == 3, "radial must have the shape (n_edges, n_l, n_channels)");
    require(polynomials.ndim() == 3 && polynomials.shape(0) == radial.shape(0) &&
                polynomials.shape(1) == radial.shape(1),
            "polynomials must have the shape (n_edges, n_l, n_points), as many edges and l as radial");
    require(radial.shape(1) >= 1 && radial.shape(1) <= densnet::kMaxFilterDegrees,
            "radial must have 1 to 6 degrees l");
    require(on_nodes.ndim() == 3, "functions on nodes must have the shape (n_points, n_nodes, n_channels)");
    return {radial.shape(0), radial.shape(1), polynomials.shape(2), on_nodes.shape(1),
            radial.shape(2)};
}

template <typename Real>
void sum(const Array<Real>& radial, const Array<Real>& polynomials, const Array<Real>& values,
         const Index& from, const Index& to, Array<Real> result) {
    const densnet::EdgeSizes sizes = sizes_of(radial, polynomials, values);
    check_grid(values, sizes, "values");
    check_grid(result, sizes, "result");
    check_nodes(from, sizes.n_edges, sizes.n_nodes, "from_nodes");
    check_nodes(to, sizes.n_edges, sizes.n_nodes, "to_nodes");
    Real* out = result.mutable_data();
    py::gil_scoped_release release;
    kernels(Real()).sum(sizes, radial.data(), polynomials.data(), values.data(), from.data(),
                        to.data(), out);
}

template <typename Real>
void check_ends(const densnet::EdgeSizes& sizes, const Array<Real>& at_receivers,
                const Array<Real>& at_senders, const Index& receivers, const Index& senders) {
    check_grid(at_receivers, sizes, "at_receivers");
    check_grid(at_senders, sizes, "at_senders");
    check_nodes(receivers, sizes.n_edges, sizes.n_nodes, "receivers");
    check_nodes(senders, sizes.n_edges, sizes.n_nodes, "senders");
}

template <typename Real>
void radial_gradient(const Array<Real>& polynomials, const Array<Real>& at_receivers,
                     const Array<Real>& at_senders, const Index& receivers, const Index& senders,
                     Array<Real> result) {
    const densnet::EdgeSizes sizes = sizes_of(result, polynomials, at_senders);
    check_ends(sizes, at_receivers, at_senders, receivers, senders);
    Real* out = result.mutable_data();
    py::gil_scoped_release release;
    kernels(Real()).by_radial(sizes, polynomials.data(), at_receivers.data(), at_senders.data(),
                              receivers.data(), senders.data(), out);
}

template <typename Real>
void polynomial_gradient(const Array<Real>& radial, const Array<Real>& at_receivers,
                         const Array<Real>& at_senders, const Index& receivers,
                         const Index& senders, Array<Real> result) {
    const densnet::EdgeSizes sizes = sizes_of(radial, result, at_senders);
    check_ends(sizes, at_receivers, at_senders, receivers, senders);
    Real* out = result.mutable_data();
    py::gil_scoped_release release;
    kernels(Real()).by_polynomials(sizes, radial.data(), at_receivers.data(), at_senders.data(),
                                   receivers.data(), senders.data(), out);
}

template <typename Real>
void define(py::module_& module) {
    module.def("sum", &sum<Real>, py::arg("radial").noconvert(), py::arg("polynomials").noconvert(),
               py::arg("values").noconvert(), py::arg("from_nodes").noconvert(),
               py::arg("to_nodes").noconvert(), py::arg("result").noconvert());
    module.def("radial_gradient", &radial_gradient<Real>, py::arg("polynomials").noconvert(),
               py::arg("at_receivers").noconvert(), py::arg("at_senders").noconvert(),
               py::arg("receivers").noconvert(), py::arg("senders").noconvert(),
               py::arg("result").noconvert());
    module.def("polynomial_gradient", &polynomial_gradient<Real>, py::arg("radial").noconvert(),
               py::arg("at_receivers").noconvert(), py::arg("at_senders").noconvert(),
               py::arg("receivers").noconvert(), py::arg("senders").noconvert(),
               py::arg("result").noconvert());
}

}  // namespace

PYBIND11_MODULE(_convolution, module) {
    module.doc() = "Sums over edges of products on the sphere; see cpp/convolution/convolution.hpp.";
    module.def("instruction_set", [] { return densnet::convolution_set().name; });
    define<float>(module);
    define<double>(module);
}

// Both networks on one block of structures, forward and backward.
#pragma once

#include "block.hpp"
#include "costs.hpp"
#include "kernels.hpp"
#include "weights.hpp"

namespace densnet {
namespace engine {

constexpr int n_harmonics(int l) { return (l + 1) * (l + 1); }

// Harmonic m of atom a begins at data + m · stride + a · width.
template <typename T>
struct Field {
    T* data = nullptr;
    std::ptrdiff_t stride = 0;
    int width = 0;

    T* at(int m) const { return data + m * stride; }
};

template <typename T>
class Network {
public:
    Network(const Weights<T>& weights, const Kernels<T>& kernels, const Kernels<double>& exact,
            const Block& block, Arena& arena, Costs& costs);

    // Results of this block's structures; nothing else is touched.
    void evaluate(const Batch& batch, std::size_t n_functions, const Results& results);

private:
    struct LayerState {
        Field<T> neighbours, factors, low, high, out;
        Field<T> gradient;                     // of out
        Field<T> low_gradient, high_gradient;  // from the read-outs, where they see these
        T* on_pairs;
    };
    // A part of what the read-outs see: where it stands, and where its gradient goes.
    struct Seen {
        Source<T> value;
        T* gradient;
        std::ptrdiff_t gradient_stride;
    };

    const Weights<T>& w_;
    const Kernels<T>& kernels_;
    const Kernels<double>& exact_;
    const Block& block_;
    Arena& arena_;
    Costs& costs_;
    const int n_;        // atoms
    const int n_edges_;
    const int l_highest_;  // gradients of neighbour sums are zero above

    // Edges: functions and gradients with respect to them.
    int n_padded_;                // edges, up to a multiple of kMaxLanes
    double *directions_;          // (3, n_padded)
    double *distance_, *slopes_;  // slopes: (n_edges, n_radial) db_n/dr
    T *unit_, *unit_gradient_, *harmonics_, *harmonics_gradient_;
    T *functions_, *functions_gradient_;
    T *radial_map_, *radial_map_gradient_;
    T *radial_functional_ = nullptr, *radial_functional_gradient_ = nullptr;
    T* transfer_radial_;
    int harmonics_width_;

    // What is fixed, of network 1 and 2.
    Field<T> sums_, sums_gradient_, components_, components_gradient_;
    std::vector<LayerState> map_, functional_;
    T *uv_, *hidden_;
    std::vector<double> charges_, learned_;

    Field<T> field(int n_m, int width, bool zeros = false);
    template <typename U>
    void linear(const Kernels<U>& kernels, Stage stage, int n_m, int first_row, int n_rows,
                const Source<U>* sources, int n_sources, const U* weights, int n_columns,
                std::ptrdiff_t weight_stride, U* out, std::ptrdiff_t out_stride, int out_width,
                bool accumulate);
    void fixed_forward(const Fixed<T>& map, const Field<T>& fixed, int l, const Field<T>& out);
    void fixed_backward(const Fixed<T>& map, const Field<T>& gradient, int l, const Field<T>& fixed_gradient);
    EdgeView<T> edge_view(const T* radial, T* radial_gradient) const;
    void contract(const Aligned<T>& matrices, int n_in, int n_out, const T* x, T* out, bool accumulate);

    HarmonicsJob<T> harmonics_job(int l_max) const;
    void make_edges();
    void make_sums();
    void layer_forward(const Layer<T>& layer, const Field<T>& fixed, const Field<T>* features,
                       const T* radial, bool final, LayerState& state);
    void layer_backward(const Layer<T>& layer, const Field<T>& fixed_gradient,
                        const Field<T>* features_gradient, const T* radial, T* radial_gradient,
                        int l_readout, bool final, const LayerState& state);
    template <typename Run>
    void for_products(const Layer<T>& layer, const LayerState& state, int l_readout, double n_in, double n_points,
                      const Field<T>& low, const Field<T>& high, const Field<T>* factors_gradient, const Run& run);
    void map_forward();
    void functional_forward();
    void functional_backward();
    void map_backward();
    std::vector<Seen> seen(int l) const;
    void transfer_forward();
    void transfer_backward(const std::vector<double>& charges_gradient);
    void shift_charges();
    std::vector<double> shift_charges_backward(const Field<T>& gradient);
    void write_energies(const Results& results);
    void write_forces(const Batch& batch, const Results& results);
    void write_density(const Batch& batch, std::size_t n_functions, const Results& results);
};

template <typename T>
template <typename U>
void Network<T>::linear(const Kernels<U>& kernels, Stage stage, int n_m, int first_row, int n_rows,
                        const Source<U>* sources, int n_sources, const U* weights, int n_columns,
                        std::ptrdiff_t weight_stride, U* out, std::ptrdiff_t out_stride, int out_width,
                        bool accumulate) {
    if (n_rows == 0) return;
    Source<U> shifted[kMaxSources];
    double n_in = 0.0;
    for (int s = 0; s < n_sources; ++s) {
        shifted[s] = sources[s];
        shifted[s].data += static_cast<std::ptrdiff_t>(first_row) * sources[s].width;
        n_in += sources[s].n_in;
    }
    costs_.count(stage, 2.0 * n_m * n_rows * n_in * n_columns, [&] {
        kernels.linear({n_m, n_rows, n_columns, n_sources, shifted, weights, weight_stride,
                        out + static_cast<std::ptrdiff_t>(first_row) * out_width, out_stride, out_width,
                        accumulate});
    });
}

}  // namespace engine
}  // namespace densnet

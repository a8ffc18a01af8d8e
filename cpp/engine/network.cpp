#include "network.hpp"

namespace densnet {
namespace engine {

template <typename T>
Network<T>::Network(const Weights<T>& weights, const Kernels<T>& kernels, const Kernels<double>& exact,
                    const Block& block, Arena& arena, Costs& costs)
    : w_(weights), kernels_(kernels), exact_(exact), block_(block), arena_(arena), costs_(costs),
      n_(block.n_atoms), n_edges_(block.n_edges()),
      // The functional sees components up to l_static, and products see sums up to their l_in.
      l_highest_(std::max(weights.l_static, weights.sizes.density_map.l_two_body)) {}

template <typename T>
Field<T> Network<T>::field(int n_m, int width, bool zeros) {
    // An odd number of cache lines from harmonic to harmonic spreads an atom over the cache.
    constexpr std::ptrdiff_t line = kLineBytes / sizeof(T);
    std::ptrdiff_t stride = static_cast<std::ptrdiff_t>(n_) * width;
    if (stride / line % 2 == 0) stride += line;
    const std::size_t size = static_cast<std::size_t>(n_m) * stride;
    return {zeros ? arena_.template take_zeros<T>(size) : arena_.template take<T>(size), stride, width};
}

// out ← M x, or M_s x with a matrix for each species, and the constant of the scalars.
template <typename T>
void Network<T>::fixed_forward(const Fixed<T>& map, const Field<T>& fixed, int l, const Field<T>& out) {
    const bool constant = l == 0 && map.constant.size() > 0;
    if (constant) {
        for (int a = 0; a < n_; ++a) {
            const T* row = map.constant.data() + static_cast<std::size_t>(block_.species[a]) * out.width;
            std::copy(row, row + out.width, out.data + static_cast<std::ptrdiff_t>(a) * out.width);
        }
    }
    const int n_maps = static_cast<int>(map.of.size());
    for (int s = 0; s < n_maps; ++s) {
        const int first = n_maps == 1 ? 0 : block_.first_of[s], end = n_maps == 1 ? n_ : block_.first_of[s + 1];
        if (constant && map.n_in[s][l] == 0) continue;
        const Source<T> source = {fixed.at(l * l), fixed.stride, fixed.width, map.n_in[s][l]};
        linear(kernels_, kLinear, 2 * l + 1, first, end - first, &source, 1, map.of[s].forward_of(l), out.width,
               out.width, out.at(l * l), out.stride, out.width, constant);
    }
}

template <typename T>
void Network<T>::fixed_backward(const Fixed<T>& map, const Field<T>& gradient, int l, const Field<T>& fixed_gradient) {
    const int n_maps = static_cast<int>(map.of.size());
    for (int s = 0; s < n_maps; ++s) {
        const int first = n_maps == 1 ? 0 : block_.first_of[s], end = n_maps == 1 ? n_ : block_.first_of[s + 1];
        if (map.n_in[s][l] == 0) continue;
        const Source<T> source = {gradient.at(l * l), gradient.stride, gradient.width, gradient.width};
        linear(kernels_, kLinear, 2 * l + 1, first, end - first, &source, 1, map.of[s].backward_of(l),
               fixed_gradient.width, fixed_gradient.width, fixed_gradient.at(l * l), fixed_gradient.stride,
               fixed_gradient.width, true);
    }
}

template <typename T>
void Network<T>::evaluate(const Batch& batch, std::size_t n_functions, const Results& results) {
    make_edges();
    map_forward();
    functional_forward();
    functional_backward();
    if (w_.uses_density()) map_backward();
    if (w_.uses_neighbours()) {
        contract(w_.contraction_functional_transposed, w_.n_contracted, w_.n_radial,
                 radial_functional_gradient_, functions_gradient_, true);
    }
    write_energies(results);
    write_forces(batch, results);
    write_density(batch, n_functions, results);
}

template class Network<float>;
template class Network<double>;

}  // namespace engine
}  // namespace densnet

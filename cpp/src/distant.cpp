#include "distant.hpp"

#include <algorithm>

namespace densnet {
namespace {

// The multipoles of a with the columns of up to kMaxLanes atoms, one after the other: rows (l, m).
void interact(const VectorKernels& kernels, const CouplingLayout& last_terms, const Basis& basis,
             const std::int64_t* species, const double* positions, std::size_t a,
             const std::size_t* others, std::size_t n_others, int stride, BlockScratch& scratch) {
    const Species& of_a = basis.species()[species[a]];
    double vectors[3][kMaxLanes];
    int l_b = 0;
    for (std::size_t lane = 0; lane < kMaxLanes; ++lane) {
        const std::size_t b = others[std::min(lane, n_others - 1)];
        for (int axis = 0; axis < 3; ++axis) {
            vectors[axis][lane] = positions[3 * a + axis] - positions[3 * b + axis];
        }
        l_b = std::max(l_b, basis.species()[species[b]].l_max);
    }
    kernels.irregular_harmonics(of_a.l_max + l_b, vectors[0], vectors[1], vectors[2],
                                scratch.harmonics.data());
    const auto table = static_cast<std::ptrdiff_t>(last_terms.size);
    for (int i = 0; i <= of_a.l_max; ++i) {
        for (int j = 0; j <= l_b; ++j) {
            const Coupling& k = coupling(i, j);
            kernels.couple(k, k.n, scratch.harmonics.data(),
                           scratch.couplings.data() + last_terms.offset[i][j], table);
        }
    }
    int column = 0;
    for (std::size_t lane = 0; lane < n_others; ++lane) {
        const Species& of_b = basis.species()[species[others[lane]]];
        kernels.spread_multipoles({scratch.couplings.data() + lane * last_terms.size,
                                   last_terms.offset, of_a.l_max,
                                   static_cast<int>(of_b.groups.size()), of_b.group_l.data(),
                                   of_b.group_shells.data(), scratch.block.data() + column, stride});
        std::copy(of_b.moment.begin(), of_b.moment.end(), scratch.mirror.begin() + column);
        column += of_b.n_functions;
    }
}

}  // namespace

void write_distant_rows(const VectorKernels& kernels, const CouplingLayout& last_terms,
                        const Basis& basis, const std::int64_t* species, const double* positions,
                        const std::vector<std::size_t>& first, std::size_t a,
                        const std::vector<std::size_t>& others, bool streamed, double* matrix,
                        BlockScratch& scratch) {
    const Species& of_a = basis.species()[species[a]];
    const std::size_t n = first.back();
    int widest = 0;
    for (const Species& s : basis.species()) widest = std::max(widest, s.n_functions);
    const int stride = kMaxLanes * (widest + 1);
    grow(scratch.harmonics, static_cast<std::size_t>((kMaxOrder + 1) * (kMaxOrder + 1)) * kMaxLanes);
    grow(scratch.couplings, last_terms.size * kMaxLanes);
    grow(scratch.block, static_cast<std::size_t>((of_a.l_max + 1) * (of_a.l_max + 1)) * stride);
    grow(scratch.mirror, stride);

    const auto lanes = static_cast<std::size_t>(kernels.lanes);
    for (std::size_t begin = 0; begin < others.size(); begin += lanes) {
        const std::size_t count = std::min(lanes, others.size() - begin);
        const std::size_t* atoms = others.data() + begin;
        interact(kernels, last_terms, basis, species, positions, a, atoms, count, stride, scratch);
        // Neighbours in the matrix are written as one run.
        int column = 0;
        for (std::size_t lane = 0; lane < count;) {
            const std::size_t start = first[atoms[lane]];
            std::size_t end = start;
            for (; lane < count && first[atoms[lane]] == end; ++lane) end = first[atoms[lane] + 1];
            const auto n_columns = static_cast<int>(end - start);
            kernels.write_distant({of_a.n_functions, n_columns, of_a.signed_moment.data(),
                                   scratch.mirror.data() + column, of_a.multipole.data(),
                                   scratch.block.data() + column, stride,
                                   matrix + first[a] * n + start, static_cast<std::ptrdiff_t>(n),
                                   streamed});
            column += n_columns;
        }
    }
}

}  // namespace densnet

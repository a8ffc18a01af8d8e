#include "blocks.hpp"

#include <algorithm>
#include <cmath>

namespace densnet {
namespace {

// Shells j < near[i] of every row i are within the limit.
void count_near(const Group& a, const Group& b, const RadialPairs& pairs, double limit,
                double squared_distance, std::vector<int>& near) {
    near.resize(a.n_shells);
    int count = b.n_shells;
    for (int i = 0; i < a.n_shells; ++i) {
        const double* p = pairs.shell_p.data() + static_cast<std::size_t>(i) * b.n_shells;
        while (count > 0 && p[count - 1] * squared_distance > limit) --count;
        near[i] = count;
    }
}

// Sum radial factors of primitives into those of shells.
void contract(const Group& a, const Group& b, int n_terms, int stride, const double* f,
              int contracted_stride, double* contracted) {
    std::fill_n(contracted, static_cast<std::size_t>(n_terms) * contracted_stride, 0.0);
    for (int k = 0; k < n_terms; ++k) {
        for (int i = 0; i < a.n_primitives; ++i) {
            double* row = contracted + k * contracted_stride + a.shell[i] * b.n_shells;
            const double* primitive = f + k * stride + i * b.n_primitives;
            for (int j = 0; j < b.n_primitives; ++j) row[b.shell[j]] += primitive[j];
        }
    }
}

void write_zero_block(int n_rows, int n_columns, double* out, std::ptrdiff_t out_stride) {
    for (int i = 0; i < n_rows; ++i) std::fill_n(out + i * out_stride, n_columns, 0.0);
}

}  // namespace

CouplingLayout::CouplingLayout(int l_max_of_both, bool last_only) : l_max(l_max_of_both), size(0) {
    for (int l_a = 0; l_a <= l_max; ++l_a) {
        for (int l_b = 0; l_b <= l_max; ++l_b) {
            offset[l_a][l_b] = size;
            size += last_only ? (2 * l_a + 1) * (2 * l_b + 1) : coupling(l_a, l_b).n_entries;
        }
    }
    size += kMaxLanes;
}

std::vector<std::size_t> first_functions(const Basis& basis, const std::int64_t* species,
                                         std::size_t n_atoms) {
    std::vector<std::size_t> first(n_atoms + 1, 0);
    for (std::size_t a = 0; a < n_atoms; ++a) {
        first[a + 1] = first[a] + basis.species()[species[a]].n_functions;
    }
    return first;
}

void couple_vectors(const VectorKernels& kernels, const CouplingLayout& layout, int l_a, int l_b,
                    const double vectors[3][kMaxLanes], BlockScratch& scratch) {
    grow(scratch.harmonics, static_cast<std::size_t>((kMaxOrder + 1) * (kMaxOrder + 1)) * kMaxLanes);
    grow(scratch.couplings, layout.size * kMaxLanes);
    kernels.solid_harmonics(l_a + l_b, vectors[0], vectors[1], vectors[2],
                            scratch.harmonics.data());
    for (int i = 0; i <= l_a; ++i) {
        for (int j = 0; j <= l_b; ++j) {
            kernels.couple(coupling(i, j), 0, scratch.harmonics.data(),
                           scratch.couplings.data() + layout.offset[i][j],
                           static_cast<std::ptrdiff_t>(layout.size));
        }
    }
}

void write_block(Metric metric, const VectorKernels& kernels, const CouplingLayout& layout,
                 const Species& a, const Species& b, const SpeciesPair& pair, int lane,
                 double squared_distance, bool write_zeros, double* out, std::ptrdiff_t out_stride,
                 BlockScratch& scratch) {
    // 1 / R^{2 l_high + 1}
    double far_power[kMaxOrder + 1];
    if (metric == Metric::coulomb) {
        const double inverse = 1.0 / squared_distance;
        far_power[0] = std::sqrt(inverse);
        for (int l = 1; l <= kMaxOrder; ++l) far_power[l] = far_power[l - 1] * inverse;
    }
    for (std::size_t ga = 0; ga < a.groups.size(); ++ga) {
        for (std::size_t gb = 0; gb < b.groups.size(); ++gb) {
            const Group &x = a.groups[ga], &y = b.groups[gb];
            const RadialPairs& pairs = pair.groups[ga * b.groups.size() + gb];
            const Coupling& k = *pairs.coupling;
            const double limit = metric == Metric::overlap ? k.overlap_limit : k.coulomb_limit;
            double* corner = out + x.first_function * out_stride + y.first_function;
            if (metric == Metric::overlap && pairs.smallest_p * squared_distance > limit) {
                if (write_zeros) {
                    write_zero_block(x.n_functions(), y.n_functions(), corner, out_stride);
                }
                continue;
            }
            const int n_terms = k.n + 1;
            grow(scratch.radial, static_cast<std::size_t>(n_terms) * pairs.n_padded + kMaxLanes);
            const RadialView view{&k, pairs.n_padded, pairs.p.data(), pairs.c.data(), pairs.w.data()};
            if (metric == Metric::overlap) {
                kernels.radial_overlap(view, squared_distance, scratch.radial.data());
            } else {
                kernels.radial_coulomb(view, squared_distance, far_power[k.l_high],
                                       scratch.radial.data());
            }
            const double* f = scratch.radial.data();
            int stride = pairs.n_padded;
            if (x.contracted || y.contracted) {
                stride = (x.n_shells * y.n_shells + 7) / 8 * 8;
                grow(scratch.contracted, static_cast<std::size_t>(n_terms) * stride + kMaxLanes);
                contract(x, y, n_terms, pairs.n_padded, f, stride, scratch.contracted.data());
                f = scratch.contracted.data();
            }
            count_near(x, y, pairs, limit, squared_distance, scratch.near);
            grow(scratch.place, block_scratch_size(x.l, y.l, x.n_shells, y.n_shells));
            const BlockView block{&k,
                                  x.n_shells,
                                  y.n_shells,
                                  f,
                                  stride,
                                  scratch.couplings.data() + lane * layout.size +
                                      layout.offset[x.l][y.l],
                                  scratch.near.data(),
                                  corner,
                                  out_stride,
                                  scratch.place.data(),
                                  write_zeros};
            if (metric == Metric::overlap) {
                kernels.place_overlap(block);
            } else {
                kernels.place_coulomb(block);
            }
        }
    }
}

}  // namespace densnet

#include <algorithm>
#include <vector>

#include "blocks.hpp"
#include "densnet/kernel.hpp"
#include "densnet/parallel.hpp"

namespace densnet {
namespace {

struct AtomPair {
    std::size_t structure, a, b;
    double vector[3];
    double squared_distance;
};

AtomPair make_pair(std::size_t structure, std::size_t a, const double* position_a, std::size_t b,
                   const double* position_b) {
    AtomPair pair{structure, a, b, {}, 0.0};
    for (int axis = 0; axis < 3; ++axis) {
        pair.vector[axis] = position_a[axis] - position_b[axis];
        pair.squared_distance += pair.vector[axis] * pair.vector[axis];
    }
    return pair;
}

// Atom pairs ordered by the highest degrees of their functions: pairs that share a vector of coupled
// harmonics need the same ones.
class PairsByDegree {
public:
    void add(const AtomPair& pair, int l_a, int l_b) { pairs_[l_a][l_b].push_back(pair); }

    std::vector<AtomPair> joined() const {
        std::vector<AtomPair> all;
        for (const auto& row : pairs_) {
            for (const auto& pairs : row) all.insert(all.end(), pairs.begin(), pairs.end());
        }
        return all;
    }

private:
    std::vector<AtomPair> pairs_[kMaxL + 1][kMaxL + 1];
};

// Columns of the rows of one atom where its overlap vanishes, neighbouring atoms as one run: long
// writes past the caches are twice as fast as those of one block.
struct ColumnRun {
    std::size_t begin, end;
};

void append_columns(std::vector<ColumnRun>& runs, std::size_t begin, std::size_t end) {
    if (!runs.empty() && runs.back().end == begin) {
        runs.back().end = end;
    } else {
        runs.push_back({begin, end});
    }
}

// The vectors of up to kMaxLanes pairs; the last one fills the rest.
void fill_vectors(const AtomPair* pairs, std::size_t n_pairs, double vectors[3][kMaxLanes]) {
    for (std::size_t lane = 0; lane < kMaxLanes; ++lane) {
        const AtomPair& pair = pairs[std::min(lane, n_pairs - 1)];
        for (int axis = 0; axis < 3; ++axis) vectors[axis][lane] = pair.vector[axis];
    }
}

// Scratch outlives the call on the thread that stays.
BlockScratch& thread_scratch() {
    static thread_local BlockScratch scratch;
    return scratch;
}

// A result beyond this many bytes does not stay in the caches.
constexpr std::size_t kStreamedBytes = std::size_t{16} << 20;

// The atom with itself: a block that was computed with the basis.
void copy_on_site(Metric metric, const Basis& basis, int species, bool zeroed, double* out,
                  std::size_t stride) {
    const Species& s = basis.species()[species];
    const double* block = basis.on_site(metric, species).data();
    if (!zeroed) {
        for (int i = 0; i < s.n_functions; ++i) {
            std::copy_n(block + static_cast<std::size_t>(i) * s.n_functions, s.n_functions,
                        out + i * stride);
        }
        return;
    }
    for (const Group& x : s.groups) {
        for (int i = 0; i < x.n_functions(); ++i) {
            const std::size_t row = x.first_function + i;
            std::copy_n(block + row * s.n_functions, s.n_functions, out + row * stride);
        }
    }
}

}  // namespace

std::size_t Structures::n_functions() const {
    return first_functions(*basis, species, n_atoms).back();
}

void metric_matrix(Metric metric, const Structures& structures, int n_threads, bool zeroed,
                   double* out) {
    const Basis& basis = *structures.basis;
    const VectorKernels& kernels = vector_kernels();
    const CouplingLayout layout(basis.l_max());
    const std::size_t n_atoms = structures.n_atoms;
    const auto first = first_functions(basis, structures.species, n_atoms);
    const std::size_t n = first.back();

    PairsByDegree by_degree;
    std::vector<std::vector<ColumnRun>> apart(structures.n_batch * n_atoms);
    for (std::size_t s = 0; s < structures.n_batch; ++s) {
        const double* positions = structures.positions + 3 * n_atoms * s;
        for (std::size_t a = 0; a < n_atoms; ++a) {
            const auto species_a = static_cast<int>(structures.species[a]);
            for (std::size_t b = 0; b < a; ++b) {
                const auto species_b = static_cast<int>(structures.species[b]);
                const AtomPair pair = make_pair(s, a, positions + 3 * a, b, positions + 3 * b);
                const double reach = basis.pair(metric, species_a, species_b).squared_reach;
                const bool vanishes = metric == Metric::overlap && pair.squared_distance > reach;
                if (!vanishes) {
                    by_degree.add(pair, basis.species()[species_a].l_max,
                                  basis.species()[species_b].l_max);
                } else if (!zeroed) {
                    append_columns(apart[s * n_atoms + a], first[b], first[b + 1]);
                    append_columns(apart[s * n_atoms + b], first[a], first[a + 1]);
                }
            }
        }
    }
    const std::vector<AtomPair> pairs = by_degree.joined();

    const auto stride = static_cast<std::ptrdiff_t>(n);
    const bool streamed = structures.n_batch * n * n * sizeof(double) > kStreamedBytes &&
                          !(zeroed && metric == Metric::overlap);
    // Write the block of a pair and its mirror image.
    const auto write_pair = [&](const AtomPair& pair, int lane, BlockScratch& scratch) {
        const auto species_a = static_cast<int>(structures.species[pair.a]);
        const auto species_b = static_cast<int>(structures.species[pair.b]);
        const Species &a = basis.species()[species_a], &b = basis.species()[species_b];
        const SpeciesPair& table = basis.pair(metric, species_a, species_b);
        double* matrix = out + pair.structure * n * n;
        double* block = matrix + first[pair.a] * n + first[pair.b];
        double* mirror = matrix + first[pair.b] * n + first[pair.a];
        const int n_a = a.n_functions, n_b = b.n_functions;
        if (!streamed) {
            write_block(metric, kernels, layout, a, b, table, lane, pair.squared_distance, !zeroed,
                        block, stride, scratch);
            kernels.transpose(block, stride, n_a, n_b, mirror, stride);
            return;
        }
        const std::size_t size = static_cast<std::size_t>(n_a) * n_b;
        if (scratch.block.size() < size) scratch.block.resize(size);
        if (scratch.mirror.size() < size) scratch.mirror.resize(size);
        write_block(metric, kernels, layout, a, b, table, lane, pair.squared_distance, true,
                    scratch.block.data(), n_b, scratch);
        kernels.stream_rows(scratch.block.data(), n_b, n_a, n_b, block, stride);
        kernels.transpose(scratch.block.data(), n_b, n_a, n_b, scratch.mirror.data(), n_a);
        kernels.stream_rows(scratch.mirror.data(), n_a, n_b, n_a, mirror, stride);
    };

    const std::size_t lanes = static_cast<std::size_t>(kernels.lanes);
    const std::size_t n_chunks = (pairs.size() + lanes - 1) / lanes;
    const std::size_t n_atom_blocks = structures.n_batch * n_atoms;
    parallel_for(n_chunks + n_atom_blocks, n_threads, [&](std::size_t item, int) {
        if (item >= n_chunks) {
            const std::size_t s = (item - n_chunks) / n_atoms, a = (item - n_chunks) % n_atoms;
            copy_on_site(metric, basis, static_cast<int>(structures.species[a]), zeroed,
                         out + s * n * n + first[a] * (n + 1), n);
            return;
        }
        BlockScratch& scratch = thread_scratch();
        const std::size_t begin = item * lanes, count = std::min(lanes, pairs.size() - begin);
        double vectors[3][kMaxLanes];
        fill_vectors(pairs.data() + begin, count, vectors);
        int l_a = 0, l_b = 0;
        for (std::size_t lane = 0; lane < count; ++lane) {
            const AtomPair& pair = pairs[begin + lane];
            l_a = std::max(l_a, basis.species()[structures.species[pair.a]].l_max);
            l_b = std::max(l_b, basis.species()[structures.species[pair.b]].l_max);
        }
        couple_vectors(kernels, layout, l_a, l_b, vectors, scratch);
        for (std::size_t lane = 0; lane < count; ++lane) {
            write_pair(pairs[begin + lane], static_cast<int>(lane), scratch);
        }
    });
    parallel_for(apart.size(), n_threads, [&](std::size_t item, int) {
        const std::size_t s = item / n_atoms, a = item % n_atoms;
        double* rows = out + s * n * n + first[a] * n;
        for (const ColumnRun& run : apart[item]) {
            kernels.stream_rows(nullptr, 0, static_cast<int>(first[a + 1] - first[a]),
                                static_cast<int>(run.end - run.begin), rows + run.begin, stride);
        }
    });
}

void cross_matrix(Metric metric, const Structures& rows, const Structures& columns, int n_threads,
                  double* out) {
    const VectorKernels& kernels = vector_kernels();
    const CouplingLayout layout(std::max(rows.basis->l_max(), columns.basis->l_max()));
    const auto first_row = first_functions(*rows.basis, rows.species, rows.n_atoms);
    const auto first_column = first_functions(*columns.basis, columns.species, columns.n_atoms);
    const std::size_t n = first_row.back(), m = first_column.back();

    const bool same = rows.basis == columns.basis;
    std::vector<SpeciesPair> tables;
    if (!same) {
        for (const Species& a : rows.basis->species()) {
            for (const Species& b : columns.basis->species()) {
                tables.push_back(make_species_pair(metric, a, b));
            }
        }
    }
    std::vector<AtomPair> pairs;
    for (std::size_t s = 0; s < rows.n_batch; ++s) {
        for (std::size_t a = 0; a < rows.n_atoms; ++a) {
            for (std::size_t b = 0; b < columns.n_atoms; ++b) {
                pairs.push_back(make_pair(s, a, rows.positions + 3 * (rows.n_atoms * s + a), b,
                                          columns.positions + 3 * (columns.n_atoms * s + b)));
            }
        }
    }
    const std::size_t lanes = static_cast<std::size_t>(kernels.lanes);
    const std::size_t n_chunks = (pairs.size() + lanes - 1) / lanes;
    parallel_for(n_chunks, n_threads, [&](std::size_t item, int) {
        BlockScratch& scratch = thread_scratch();
        const std::size_t begin = item * lanes, count = std::min(lanes, pairs.size() - begin);
        double vectors[3][kMaxLanes];
        fill_vectors(pairs.data() + begin, count, vectors);
        couple_vectors(kernels, layout, rows.basis->l_max(), columns.basis->l_max(), vectors, scratch);
        for (std::size_t lane = 0; lane < count; ++lane) {
            const AtomPair& pair = pairs[begin + lane];
            const auto species_a = static_cast<std::size_t>(rows.species[pair.a]);
            const auto species_b = static_cast<std::size_t>(columns.species[pair.b]);
            const SpeciesPair& table =
                same ? rows.basis->pair(metric, static_cast<int>(species_a),
                                        static_cast<int>(species_b))
                     : tables[species_a * columns.basis->species().size() + species_b];
            write_block(metric, kernels, layout, rows.basis->species()[species_a],
                        columns.basis->species()[species_b], table, static_cast<int>(lane),
                        pair.squared_distance, true,
                        out + pair.structure * n * m + first_row[pair.a] * m + first_column[pair.b],
                        static_cast<std::ptrdiff_t>(m), scratch);
        }
    });
}

}  // namespace densnet

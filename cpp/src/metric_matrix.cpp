#include <algorithm>
#include <vector>

#include "blocks.hpp"
#include "densnet/kernel.hpp"
#include "densnet/parallel.hpp"
#include "distant.hpp"

namespace densnet {
namespace {

struct AtomPair {
    std::size_t structure, a, b;
    double vector[3];
    double squared_distance;
    int degrees;  // orders pairs by the highest degrees of their functions
};

AtomPair make_pair(std::size_t structure, std::size_t a, const double* position_a, std::size_t b,
                   const double* position_b) {
    AtomPair pair{structure, a, b, {}, 0.0, 0};
    for (int axis = 0; axis < 3; ++axis) {
        pair.vector[axis] = position_a[axis] - position_b[axis];
        pair.squared_distance += pair.vector[axis] * pair.vector[axis];
    }
    return pair;
}

// The vectors of up to kMaxLanes pairs; the last one fills the rest.
void fill_vectors(const AtomPair* pairs, std::size_t n_pairs, double vectors[3][kMaxLanes]) {
    for (std::size_t lane = 0; lane < kMaxLanes; ++lane) {
        const AtomPair& pair = pairs[std::min(lane, n_pairs - 1)];
        for (int axis = 0; axis < 3; ++axis) vectors[axis][lane] = pair.vector[axis];
    }
}

BlockScratch& thread_scratch() {
    static thread_local BlockScratch scratch;
    return scratch;
}

// The least time that an element takes: overlaps of ethanol in a large basis, from caches.
constexpr double kElementNanoseconds = 0.3;

// A result beyond this many bytes is taken not to stay in the caches, of which 32 MiB are common. (What
// the system tells may be that of all processors together.)
constexpr std::size_t kStreamedBytes = std::size_t{24} << 20;

// Such a result is written in tiles of about this many functions of neighbouring atoms: shorter runs
// cost up to twice the time, and larger tiles would not stay in the caches.
constexpr std::size_t kTileFunctions = 256;

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

// use(begin, end) for every run of numbers in [begin, end) that are good.
template <typename Good, typename Use>
void for_each_run(std::size_t begin, std::size_t end, const Good& good, const Use& use) {
    while (begin < end) {
        std::size_t last = begin;
        while (last < end && good(last)) ++last;
        if (last > begin) use(begin, last);
        begin = last + 1;
    }
}

// Atoms [a_begin, a_end) with [b_begin, b_end), and the pairs b < a among them that are near.
struct Tile {
    std::size_t structure, a_begin, a_end, b_begin, b_end, first_pair, last_pair;
};

class MatrixRun {
public:
    MatrixRun(Metric metric, const Structures& structures, bool zeroed, double* out)
        : metric_(metric),
          structures_(structures),
          basis_(*structures.basis),
          kernels_(vector_kernels()),
          layout_(basis_.l_max()),
          last_terms_(basis_.l_max(), true),
          n_atoms_(structures.n_atoms),
          first_(first_functions(basis_, structures.species, n_atoms_)),
          n_(first_.back()),
          zeroed_(zeroed),
          streamed_(structures.n_batch * n_ * n_ * sizeof(double) > kStreamedBytes &&
                    !(zeroed && metric == Metric::overlap)),
          near_(structures.n_batch * n_atoms_ * n_atoms_),
          out_(out) {
        collect_tiles();
    }

    void run(int n_threads) {
        const std::size_t n_parts =
            streamed_ ? tile_rows_.size() - 1 : (pairs_.size() + lanes() - 1) / lanes();
        const double elements = static_cast<double>(structures_.n_batch * n_) * static_cast<double>(n_);
        parallel_for(n_parts + structures_.n_batch * n_atoms_,
                     worthwhile_threads(n_threads, elements * kElementNanoseconds),
                     [&](std::size_t item, int) {
                         if (item >= n_parts) {
                             finish_rows((item - n_parts) / n_atoms_, (item - n_parts) % n_atoms_);
                         } else if (streamed_) {
                             stream_tiles(tile_rows_[item], tile_rows_[item + 1]);
                         } else {
                             const std::size_t begin = item * lanes();
                             write_chunk(begin, std::min(lanes(), pairs_.size() - begin));
                         }
                     });
    }

private:
    std::size_t lanes() const { return static_cast<std::size_t>(kernels_.lanes); }
    int species(std::size_t atom) const { return static_cast<int>(structures_.species[atom]); }
    const Species& of(std::size_t atom) const { return basis_.species()[species(atom)]; }
    double* matrix(std::size_t structure) const { return out_ + structure * n_ * n_; }
    char& near(std::size_t s, std::size_t a, std::size_t b) {
        return near_[(s * n_atoms_ + a) * n_atoms_ + b];
    }

    // First atom of every bundle of neighbours, and the end; all in one if nothing is streamed.
    std::vector<std::size_t> bundles() const {
        std::vector<std::size_t> begins{0};
        for (std::size_t a = 1; a < n_atoms_ && streamed_; ++a) {
            if (first_[a + 1] - first_[begins.back()] > kTileFunctions) begins.push_back(a);
        }
        begins.push_back(n_atoms_);
        return begins;
    }

    void collect_tiles() {
        const auto begins = bundles();
        for (std::size_t s = 0; s < structures_.n_batch; ++s) {
            for (std::size_t i = 0; i + 1 < begins.size(); ++i) {
                tile_rows_.push_back(tiles_.size());
                for (std::size_t j = 0; j <= i; ++j) {
                    Tile tile{s, begins[i], begins[i + 1], begins[j], begins[j + 1], pairs_.size(), 0};
                    collect_pairs(tile);
                    tile.last_pair = pairs_.size();
                    if (tile.last_pair > tile.first_pair) tiles_.push_back(tile);
                }
            }
        }
        tile_rows_.push_back(tiles_.size());
        if (streamed_) return;
        // Pairs that share a vector of coupled harmonics need the same ones.
        std::sort(pairs_.begin(), pairs_.end(), [](const AtomPair& x, const AtomPair& y) {
            return x.degrees > y.degrees;
        });
    }

    void collect_pairs(const Tile& tile) {
        const double* positions = structures_.positions + 3 * n_atoms_ * tile.structure;
        for (std::size_t a = tile.a_begin; a < tile.a_end; ++a) {
            for (std::size_t b = tile.b_begin; b < std::min(tile.b_end, a); ++b) {
                AtomPair pair = make_pair(tile.structure, a, positions + 3 * a, b, positions + 3 * b);
                const double reach = basis_.pair(metric_, species(a), species(b)).squared_reach;
                if (pair.squared_distance > reach) continue;
                near(tile.structure, a, b) = near(tile.structure, b, a) = 1;
                pair.degrees = of(a).l_max * (kMaxL + 1) + of(b).l_max;
                pairs_.push_back(pair);
            }
        }
    }

    void couple_chunk(const AtomPair* pairs, std::size_t count, BlockScratch& scratch) const {
        double vectors[3][kMaxLanes];
        fill_vectors(pairs, count, vectors);
        int l_a = 0, l_b = 0;
        for (std::size_t lane = 0; lane < count; ++lane) {
            l_a = std::max(l_a, of(pairs[lane].a).l_max);
            l_b = std::max(l_b, of(pairs[lane].b).l_max);
        }
        couple_vectors(kernels_, layout_, l_a, l_b, vectors, scratch);
    }

    void write(const AtomPair& pair, std::size_t lane, bool write_zeros, double* block,
               std::size_t stride, BlockScratch& scratch) const {
        write_block(metric_, kernels_, layout_, of(pair.a), of(pair.b),
                    basis_.pair(metric_, species(pair.a), species(pair.b)), static_cast<int>(lane),
                    pair.squared_distance, write_zeros, block, static_cast<std::ptrdiff_t>(stride),
                    scratch);
    }

    // Some pairs and their mirror images, into the matrix.
    void write_chunk(std::size_t begin, std::size_t count) const {
        BlockScratch& scratch = thread_scratch();
        const auto stride = static_cast<std::ptrdiff_t>(n_);
        couple_chunk(pairs_.data() + begin, count, scratch);
        for (std::size_t lane = 0; lane < count; ++lane) {
            const AtomPair& pair = pairs_[begin + lane];
            double* block = matrix(pair.structure) + first_[pair.a] * n_ + first_[pair.b];
            double* mirror = matrix(pair.structure) + first_[pair.b] * n_ + first_[pair.a];
            write(pair, lane, !zeroed_, block, n_, scratch);
            kernels_.transpose(block, stride, of(pair.a).n_functions, of(pair.b).n_functions, mirror,
                               stride);
        }
    }

    // The tiles of some rows; their pairs share vectors of coupled harmonics.
    void stream_tiles(std::size_t begin, std::size_t end) {
        BlockScratch& scratch = thread_scratch();
        std::size_t lane = lanes();
        for (std::size_t t = begin; t < end; ++t) {
            const Tile& tile = tiles_[t];
            const std::size_t top = first_[tile.a_begin], left = first_[tile.b_begin];
            const std::size_t height = first_[tile.a_end] - top, width = first_[tile.b_end] - left;
            grow(scratch.block, height * width + kMaxLanes);
            grow(scratch.mirror, height * width + kMaxLanes);
            for (std::size_t p = tile.first_pair; p < tile.last_pair; ++p) {
                if (lane == lanes()) {
                    lane = 0;
                    couple_chunk(&pairs_[p], std::min(lanes(), tiles_[end - 1].last_pair - p), scratch);
                }
                const AtomPair& pair = pairs_[p];
                write(pair, lane++, true,
                      scratch.block.data() + (first_[pair.a] - top) * width + first_[pair.b] - left,
                      width, scratch);
            }
            stream_tile(tile, scratch);
        }
    }

    // A tile and its mirror image, from the caches.
    void stream_tile(const Tile& tile, BlockScratch& scratch) {
        const auto stride = static_cast<std::ptrdiff_t>(n_);
        const std::size_t top = first_[tile.a_begin], left = first_[tile.b_begin];
        const std::size_t width = first_[tile.b_end] - left;
        double* out = matrix(tile.structure);
        for (std::size_t a = tile.a_begin; a < tile.a_end; ++a) {
            const auto good = [&](std::size_t b) { return near(tile.structure, a, b); };
            for_each_run(tile.b_begin, std::min(tile.b_end, a), good, [&](std::size_t b, std::size_t end) {
                kernels_.stream_rows(
                    scratch.block.data() + (first_[a] - top) * width + first_[b] - left,
                    static_cast<std::ptrdiff_t>(width), of(a).n_functions,
                    static_cast<int>(first_[end] - first_[b]), out + first_[a] * n_ + first_[b], stride);
            });
        }
        for (std::size_t b = tile.b_begin; b < tile.b_end; ++b) {
            const auto good = [&](std::size_t a) { return near(tile.structure, b, a); };
            for_each_run(std::max(tile.a_begin, b + 1), tile.a_end, good, [&](std::size_t a, std::size_t end) {
                const auto n_columns = static_cast<int>(first_[end] - first_[a]);
                kernels_.transpose(
                    scratch.block.data() + (first_[a] - top) * width + first_[b] - left,
                    static_cast<std::ptrdiff_t>(width), n_columns, of(b).n_functions,
                    scratch.mirror.data(), n_columns);
                kernels_.stream_rows(scratch.mirror.data(), n_columns, of(b).n_functions, n_columns,
                                     out + first_[b] * n_ + first_[a], stride);
            });
        }
    }

    // The rest of the rows of an atom: its block with itself and those with distant atoms.
    void finish_rows(std::size_t s, std::size_t a) {
        double* rows = matrix(s) + first_[a] * n_;
        copy_on_site(metric_, basis_, species(a), zeroed_, rows + first_[a], n_);
        near(s, a, a) = 1;
        if (metric_ == Metric::coulomb) {
            std::vector<std::size_t> others;
            for (std::size_t b = 0; b < n_atoms_; ++b) {
                if (!near(s, a, b)) others.push_back(b);
            }
            if (others.empty()) return;
            write_distant_rows(kernels_, last_terms_, basis_, structures_.species,
                               structures_.positions + 3 * n_atoms_ * s, first_, a, others, streamed_,
                               matrix(s), thread_scratch());
        } else if (!zeroed_) {
            const auto good = [&](std::size_t b) { return !near(s, a, b); };
            for_each_run(0, n_atoms_, good, [&](std::size_t b, std::size_t end) {
                kernels_.stream_rows(nullptr, 0, of(a).n_functions,
                                     static_cast<int>(first_[end] - first_[b]), rows + first_[b],
                                     static_cast<std::ptrdiff_t>(n_));
            });
        }
    }

    Metric metric_;
    const Structures& structures_;
    const Basis& basis_;
    const VectorKernels& kernels_;
    CouplingLayout layout_, last_terms_;
    std::size_t n_atoms_;
    std::vector<std::size_t> first_;
    std::size_t n_;
    bool zeroed_, streamed_;
    std::vector<char> near_;  // [structure][a][b]
    std::vector<AtomPair> pairs_;
    std::vector<Tile> tiles_;
    std::vector<std::size_t> tile_rows_;  // first tile of every row of tiles, and the end
    double* out_;
};

}  // namespace

std::size_t Structures::n_functions() const {
    return first_functions(*basis, species, n_atoms).back();
}

void metric_matrix(Metric metric, const Structures& structures, int n_threads, bool zeroed,
                   double* out) {
    MatrixRun(metric, structures, zeroed, out).run(n_threads);
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
    const double elements = static_cast<double>(rows.n_batch * n) * static_cast<double>(m);
    n_threads = worthwhile_threads(n_threads, elements * kElementNanoseconds);
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

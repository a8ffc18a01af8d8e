#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "atom_groups.hpp"
#include "blocks.hpp"
#include "densnet/kernel.hpp"
#include "densnet/parallel.hpp"
#include "distant_field.hpp"
#include "form_views.hpp"

namespace densnet {
namespace {

struct AtomPair {
    std::size_t structure, a, b;
    double vector[3];
    double squared_distance;
};

// Pairs of atoms of one pair of species, nearest first, so that lanes share their limits.
using PairList = std::vector<AtomPair>;

// What one thread adds up.
struct Totals {
    std::vector<double> applied, by_position, energy, slope, scratch;
};

class FormRun {
public:
    FormRun(Metric metric, const Structures& structures, const double* coefficients, int n_threads,
            bool gradients)
        : metric_(metric),
          structures_(structures),
          basis_(*structures.basis),
          coefficients_(coefficients),
          n_threads_(n_threads),
          gradients_(gradients),
          groups_(structures),
          first_(first_functions(basis_, structures.species, structures.n_atoms)),
          views_(make_species_views(basis_)) {
        for (std::size_t a = 0; a < views_.size(); ++a) {
            for (std::size_t b = 0; b < views_.size(); ++b) {
                pair_views_.push_back(make_pair_view(
                    basis_.pair(metric, static_cast<int>(a), static_cast<int>(b))));
            }
        }
    }

    void run(double* applied, double* by_position, double* by_exponent) {
        collect_pairs();
        std::vector<Totals> totals(worthwhile_threads(n_threads_, chunk_nanoseconds()));
        const std::size_t n_items = chunks_.size();
        parallel_for(n_items, static_cast<int>(totals.size()), [&](std::size_t item, int thread) {
            prepare(totals[thread]);
            run_chunk(chunks_[item], totals[thread]);
        });
        Totals& sum = totals[0];
        prepare(sum);
        for (std::size_t t = 1; t < totals.size(); ++t) add(totals[t], sum);
        for (std::size_t s = 0; s < structures_.n_batch; ++s) {
            for (std::size_t a = 0; a < structures_.n_atoms; ++a) add_on_site(s, a, sum);
        }
        if (some_distant_) add_distant(sum);
        std::copy(sum.applied.begin(), sum.applied.end(), applied);
        if (!gradients_) return;
        std::copy(sum.by_position.begin(), sum.by_position.end(), by_position);
        finish_exponents(basis_, sum.energy.data(), sum.slope.data(), by_exponent);
    }

private:
    struct Chunk {
        const PairList* pairs;
        std::size_t begin, count;
        int species_a, species_b;
    };

    int species(std::size_t atom) const { return static_cast<int>(structures_.species[atom]); }
    std::size_t n_functions() const { return first_.back(); }

    void prepare(Totals& totals) const {
        if (!totals.applied.empty()) return;
        totals.applied.assign(structures_.n_batch * n_functions(), 0.0);
        totals.by_position.assign(structures_.n_batch * structures_.n_atoms * 3, 0.0);
        totals.energy.assign(basis_.n_primitives(), 0.0);
        totals.slope.assign(basis_.n_primitives(), 0.0);
    }

    static void add(const Totals& part, Totals& sum) {
        const auto accumulate = [](const std::vector<double>& from, std::vector<double>& to) {
            for (std::size_t i = 0; i < from.size(); ++i) to[i] += from[i];
        };
        accumulate(part.applied, sum.applied);
        accumulate(part.by_position, sum.by_position);
        accumulate(part.energy, sum.energy);
        accumulate(part.slope, sum.slope);
    }

    void collect_pairs() {
        const std::size_t n_species = basis_.species().size();
        double reach = 0.0;
        for (std::size_t k = 0; k < n_species * n_species; ++k) {
            reach = std::max(reach, basis_.pair(metric_, static_cast<int>(k / n_species),
                                                static_cast<int>(k % n_species)).squared_reach);
        }
        reach = std::sqrt(reach);
        lists_.assign(n_species * n_species, {});
        for (std::size_t s = 0; s < structures_.n_batch; ++s) {
            for (std::size_t g = 0; g < groups_.per_structure(); ++g) {
                const AtomGroup& group = groups_.at(s, g);
                for (std::size_t h = 0; h <= g; ++h) {
                    const AtomGroup& other = groups_.at(s, h);
                    if (distance(group, other) - group.radius - other.radius > reach) {
                        some_distant_ = metric_ == Metric::coulomb;
                        continue;
                    }
                    for (std::size_t a = 0; a < group.atoms.size(); ++a) {
                        const std::size_t n = g == h ? a : other.atoms.size();
                        for (std::size_t b = 0; b < n; ++b) add_pair(s, group.atoms[a], other.atoms[b]);
                    }
                }
            }
        }
        const std::size_t lanes = static_cast<std::size_t>(vector_kernels().lanes);
        for (std::size_t k = 0; k < lists_.size(); ++k) {
            PairList& list = lists_[k];
            std::sort(list.begin(), list.end(), [](const AtomPair& x, const AtomPair& y) {
                return x.squared_distance < y.squared_distance;
            });
            for (std::size_t begin = 0; begin < list.size(); begin += lanes) {
                chunks_.push_back({&list, begin, std::min(lanes, list.size() - begin),
                                   static_cast<int>(k / n_species),
                                   static_cast<int>(k % n_species)});
            }
        }
    }

    // 0.7 ns and more for two functions of a vector of pairs.
    double chunk_nanoseconds() const {
        double total = 0.0;
        for (const Chunk& chunk : chunks_) {
            total += 0.7 * views_[chunk.species_a].n_functions * views_[chunk.species_b].n_functions;
        }
        return total;
    }

    void add_pair(std::size_t structure, std::size_t a, std::size_t b) {
        if (species(a) < species(b)) std::swap(a, b);
        const double* positions = structures_.positions + 3 * structures_.n_atoms * structure;
        AtomPair pair{structure, a, b, {}, 0.0};
        for (int axis = 0; axis < 3; ++axis) {
            pair.vector[axis] = positions[3 * a + axis] - positions[3 * b + axis];
            pair.squared_distance += pair.vector[axis] * pair.vector[axis];
        }
        if (pair.squared_distance > basis_.pair(metric_, species(a), species(b)).squared_reach) {
            some_distant_ = metric_ == Metric::coulomb;
            return;
        }
        lists_[species(a) * basis_.species().size() + species(b)].push_back(pair);
    }

    void run_chunk(const Chunk& chunk, Totals& totals) const {
        const AtomPair* pairs = chunk.pairs->data() + chunk.begin;
        const FormSpeciesView &a = views_[chunk.species_a], &b = views_[chunk.species_b];
        FormChunk job{};
        job.n_pairs = static_cast<int>(chunk.count);
        job.n_groups_a = static_cast<int>(a.groups.size());
        job.n_groups_b = static_cast<int>(b.groups.size());
        job.groups_a = a.groups.data();
        job.groups_b = b.groups.data();
        job.radial = pair_views_[chunk.species_a * views_.size() + chunk.species_b].data();
        job.n_functions_a = a.n_functions;
        job.n_functions_b = b.n_functions;
        job.coulomb = metric_ == Metric::coulomb;
        job.gradients = gradients_;
        for (std::size_t lane = 0; lane < kMaxLanes; ++lane) {
            const AtomPair& pair = pairs[std::min(lane, chunk.count - 1)];
            for (int axis = 0; axis < 3; ++axis) job.vectors[axis][lane] = pair.vector[axis];
            const std::size_t row = pair.structure * n_functions();
            job.c_a[lane] = coefficients_ + row + first_[pair.a];
            job.c_b[lane] = coefficients_ + row + first_[pair.b];
            job.y_a[lane] = totals.applied.data() + row + first_[pair.a];
            job.y_b[lane] = totals.applied.data() + row + first_[pair.b];
            double* gradient = totals.by_position.data() + 3 * structures_.n_atoms * pair.structure;
            job.gradient_a[lane] = gradient + 3 * pair.a;
            job.gradient_b[lane] = gradient + 3 * pair.b;
        }
        job.energy_of = totals.energy.data();
        job.slope_of = totals.slope.data();
        const std::size_t size = form_scratch_size(a.n_functions, b.n_functions, a.n_primitives,
                                                   b.n_primitives) + kMaxLanes;
        if (totals.scratch.size() < size) totals.scratch.resize(size);
        const auto address = reinterpret_cast<std::uintptr_t>(totals.scratch.data());
        job.scratch = totals.scratch.data() + (64 - address % 64) % 64 / sizeof(double);
        vector_kernels().form(job);
    }

    void add_distant(Totals& sum) const {
        DistantField field(structures_, groups_, coefficients_, first_);
        field.compute(n_threads_, gradients_);
        for (std::size_t s = 0; s < structures_.n_batch; ++s) {
            field.add(s, sum.applied.data() + s * n_functions(),
                      gradients_ ? sum.by_position.data() + 3 * structures_.n_atoms * s : nullptr,
                      sum.energy.data());
        }
    }

    // The atom with itself, diagonal in m; only exponents feel its gradient.
    void add_on_site(std::size_t s, std::size_t a, Totals& sum) const {
        const Species& of = basis_.species()[species(a)];
        const SpeciesPair& pair = basis_.pair(metric_, species(a), species(a));
        const double* c = coefficients_ + s * n_functions() + first_[a];
        double* y = sum.applied.data() + s * n_functions() + first_[a];
        for (std::size_t ga = 0; ga < of.groups.size(); ++ga) {
            for (std::size_t gb = 0; gb < of.groups.size(); ++gb) {
                const Group &x = of.groups[ga], &z = of.groups[gb];
                if (x.l != z.l) continue;
                add_on_site_groups(x, z, pair.groups[ga * of.groups.size() + gb], c, y, sum);
            }
        }
    }

    void add_on_site_groups(const Group& x, const Group& z, const RadialPairs& radial,
                            const double* c, double* y, Totals& sum) const {
        const double factor = on_site_factor(metric_, *radial.coupling);
        const int n = 2 * x.l + 1;
        const double power = (metric_ == Metric::coulomb ? 0.5 : 1.5) + x.l;
        for (int i = 0; i < x.n_primitives; ++i) {
            for (int j = 0; j < z.n_primitives; ++j) {
                const int at = i * z.n_primitives + j;
                const double value = radial.c[at] * factor;
                const double* left = c + x.first_function + x.shell[i] * n;
                const double* right = c + z.first_function + z.shell[j] * n;
                double* out = y + x.first_function + x.shell[i] * n;
                double product = 0.0;
                for (int m = 0; m < n; ++m) {
                    out[m] += value * right[m];
                    product += left[m] * right[m];
                }
                if (!gradients_) continue;
                // once here for a_i, once with i and j exchanged for a_j: cᵀMc holds both orders
                const double a = x.exponents[i];
                sum.energy[x.first_primitive + i] += 2.0 * value * product;
                sum.slope[x.first_primitive + i] += 2.0 * value * product * power * radial.p[at] / (a * a);
            }
        }
    }

    Metric metric_;
    const Structures& structures_;
    const Basis& basis_;
    const double* coefficients_;
    int n_threads_;
    bool gradients_;
    AtomGroups groups_;
    std::vector<std::size_t> first_;
    std::vector<FormSpeciesView> views_;
    std::vector<std::vector<FormRadial>> pair_views_;
    std::vector<PairList> lists_;
    std::vector<Chunk> chunks_;
    bool some_distant_ = false;  // atoms that meet as multipoles only
};

}  // namespace

void metric_apply(Metric metric, const Structures& structures, const double* coefficients,
                  int n_threads, double* out) {
    FormRun(metric, structures, coefficients, n_threads, false).run(out, nullptr, nullptr);
}

void quadratic_gradient(Metric metric, const Structures& structures, const double* coefficients,
                        int n_threads, double* applied, double* by_position, double* by_exponent) {
    FormRun(metric, structures, coefficients, n_threads, true)
        .run(applied, by_position, by_exponent);
}

}  // namespace densnet

#include "group_field.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "densnet/parallel.hpp"
#include "expansion_order.hpp"

namespace densnet {
namespace {

// What things cost, in ns on a core with AVX-512; their ratios decide: two multipoles of a pair of atoms,
// a product of two terms for a pair of groups, loading and storing a term of it, a product of a term and
// a multipole for a vector of atoms.
constexpr double kMultipolePair = 0.12, kTermPair = 0.06, kTerm = 1.5, kTermMultipole = 0.8;

// Products of two terms whose degrees add up to no more than the order.
double term_pairs(int order) {
    double total = 0.0;
    for (int n = 0; n <= order; ++n) {
        for (int l = 0; l <= n; ++l) total += (2.0 * l + 1.0) * (2.0 * (n - l) + 1.0);
    }
    return total;
}

double* aligned(std::vector<double>& scratch, std::size_t size) {
    if (scratch.size() < size + kMaxLanes) scratch.resize(size + kMaxLanes);
    const auto address = reinterpret_cast<std::uintptr_t>(scratch.data());
    return scratch.data() + (64 - address % 64) % 64 / sizeof(double);
}

}  // namespace

GroupField::GroupField(const Structures& structures, const AtomGroups& groups)
    : structures_(structures), per_structure_(groups.per_structure()), groups_(groups.all()) {
    for (AtomGroup& group : groups_) {
        std::stable_sort(group.atoms.begin(), group.atoms.end(),
                         [&](std::size_t a, std::size_t b) { return l_max_of(a) < l_max_of(b); });
    }
    find_pairs();
    choose_order();
    order_.assign(groups_.size(), 0);
    partners_.assign(groups_.size(), {});
    for (const Pair& pair : pairs_) {
        order_[pair.a] = std::max(order_[pair.a], pair.order);
        order_[pair.b] = std::max(order_[pair.b], pair.order);
        partners_[pair.a].push_back(pair.b);
        partners_[pair.b].push_back(pair.a);
        highest_ = std::max(highest_, pair.order);
    }
    group_of_.assign(structures.n_batch * structures.n_atoms, 0);
    for (std::size_t g = 0; g < groups_.size(); ++g) {
        const std::size_t first = g / per_structure_ * structures.n_atoms;
        for (const std::size_t atom : groups_[g].atoms) group_of_[first + atom] = g;
    }
}

// All pairs of groups of which every pair of atoms meets as multipoles, and whose expansions exist.
void GroupField::find_pairs() {
    const Basis& basis = *structures_.basis;
    const auto n_species = static_cast<int>(basis.species().size());
    double reach = 0.0;
    for (int a = 0; a < n_species; ++a) {
        for (int b = 0; b < n_species; ++b) {
            reach = std::max(reach, std::sqrt(basis.pair(Metric::coulomb, a, b).squared_reach));
        }
    }
    std::vector<double> n_multipoles, exchange(kMaxExpansion + 1);
    for (const AtomGroup& group : groups_) {
        double total = 0.0;
        for (const std::size_t atom : group.atoms) {
            total += (l_max_of(atom) + 1.0) * (l_max_of(atom) + 1.0);
        }
        n_multipoles.push_back(total);
    }
    for (int order = 0; order <= kMaxExpansion; ++order) {
        exchange[order] = kTermPair * term_pairs(order) + kTerm * expansion_size(order);
    }
    const ExpansionOrder orders(basis);
    int order = kMaxExpansion;
    for (std::size_t a = 0; a < groups_.size(); ++a) {
        for (std::size_t b = a / per_structure_ * per_structure_; b < a; ++b) {
            const double apart = distance(groups_[a], groups_[b]);
            const double extent = groups_[a].radius + groups_[b].radius;
            if (apart - extent <= reach) continue;
            order = orders.find(apart, extent, order);
            if (order > kMaxExpansion) continue;
            const double saving = kMultipolePair * n_multipoles[a] * n_multipoles[b] - exchange[order];
            if (saving > 0.0) pairs_.push_back({a, b, order, saving});
        }
    }
}

// Highest order first; those beyond the order with which most time is saved are left to their atoms.
void GroupField::choose_order() {
    std::sort(pairs_.begin(), pairs_.end(), [](const Pair& x, const Pair& y) { return x.order > y.order; });
    double n_multipoles = 0.0;
    for (const AtomGroup& group : groups_) {
        for (const std::size_t atom : group.atoms) {
            n_multipoles += 2.0 * (l_max_of(atom) + 1.5) * (l_max_of(atom) + 1.5) / kMaxLanes;
        }
    }
    double saving = 0.0, most = 0.0;
    auto best = pairs_.end();
    for (auto pair = pairs_.end(); pair != pairs_.begin();) {
        --pair;
        saving += pair->saving;
        if (pair != pairs_.begin() && (pair - 1)->order == pair->order) continue;
        const double net = saving - kTermMultipole * n_multipoles * expansion_size(pair->order);
        if (net > most) {
            most = net;
            best = pair;
        }
    }
    pairs_.erase(pairs_.begin(), best);
}

template <typename Use>
void GroupField::for_each_vector(std::size_t group, const Use& use) const {
    const auto lanes = static_cast<std::size_t>(vector_kernels().lanes);
    const double* positions = structures_.positions + 3 * structures_.n_atoms * (group / per_structure_);
    const std::vector<std::size_t>& atoms = groups_[group].atoms;
    for (std::size_t begin = 0; begin < atoms.size(); begin += lanes) {
        const std::size_t count = std::min(lanes, atoms.size() - begin);
        GroupAtoms job{};
        job.order = order_[group];
        job.l_max = l_max_of(atoms[begin + count - 1]);
        for (std::size_t lane = 0; lane < count; ++lane) {
            for (int axis = 0; axis < 3; ++axis) {
                job.offsets[axis][lane] = positions[3 * atoms[begin + lane] + axis] - groups_[group].centre[axis];
            }
        }
        use(job, atoms.data() + begin, count);
    }
}

void GroupField::collect(std::size_t group, const AtomTerms& atoms, double* expansion, double* scratch) const {
    const std::size_t lanes = vector_kernels().lanes, table = group / per_structure_ * atoms.size;
    double terms[2 * expansion_place(kMaxL + 1, 0) * kMaxLanes];
    for_each_vector(group, [&](GroupAtoms& job, const std::size_t* members, std::size_t count) {
        const std::size_t n_rows = 2 * expansion_place(job.l_max + 1, 0);
        std::fill_n(terms, n_rows * lanes, 0.0);
        for (std::size_t lane = 0; lane < count; ++lane) {
            const double* from = atoms.multipoles + table + atoms.place[members[lane]];
            for (std::size_t row = 0; row < n_rows; ++row) terms[row * lanes + lane] = from[row * atoms.stride];
        }
        job.multipoles = terms;
        job.expansion = expansion;
        job.scratch = scratch;
        vector_kernels().collect_expansion(job);
    });
}

void GroupField::spread(std::size_t group, const double* expansion, bool gradients, const AtomTerms& atoms,
                        double* scratch) const {
    const std::size_t lanes = vector_kernels().lanes, table = group / per_structure_ * atoms.size;
    double terms[2 * expansion_place(kMaxL + 2, 0) * kMaxLanes];
    for_each_vector(group, [&](GroupAtoms& job, const std::size_t* members, std::size_t count) {
        job.l_max += gradients ? 1 : 0;
        const std::size_t n_rows = 2 * expansion_place(job.l_max + 1, 0);
        job.potentials = terms;
        job.about = expansion;
        job.scratch = scratch;
        vector_kernels().spread_expansion(job);
        for (std::size_t lane = 0; lane < count; ++lane) {
            double* to = atoms.potentials + table + atoms.place[members[lane]];
            for (std::size_t row = 0; row < n_rows; ++row) to[row * atoms.stride] += terms[row * lanes + lane];
        }
    });
}

void GroupField::exchange(std::size_t first_pair, std::size_t n_pairs, const double* multipoles,
                          double* potentials, double* scratch) const {
    const auto size = static_cast<std::size_t>(expansion_size(highest_));
    GroupPairs job{};
    job.order = pairs_[first_pair].order;
    job.n_pairs = static_cast<int>(n_pairs);
    job.scratch = scratch;
    for (std::size_t lane = 0; lane < kMaxLanes; ++lane) {
        const Pair& pair = pairs_[first_pair + std::min(lane, n_pairs - 1)];
        for (int axis = 0; axis < 3; ++axis) {
            job.vectors[axis][lane] = groups_[pair.a].centre[axis] - groups_[pair.b].centre[axis];
        }
        job.multipoles_a[lane] = multipoles + pair.a * size;
        job.multipoles_b[lane] = multipoles + pair.b * size;
        job.potentials_a[lane] = potentials + pair.a * size;
        job.potentials_b[lane] = potentials + pair.b * size;
    }
    vector_kernels().exchange_expansions(job);
}

void GroupField::add(const AtomTerms& atoms, bool gradients, int n_threads) const {
    const auto lanes = static_cast<std::size_t>(vector_kernels().lanes);
    const auto size = static_cast<std::size_t>(expansion_size(highest_));
    const std::size_t total = groups_.size() * size, scratch_size = group_scratch_size(highest_);
    n_threads = worthwhile_threads(n_threads, exchange_nanoseconds());
    std::vector<std::vector<double>> scratch(n_threads), about_groups(n_threads);
    std::vector<double> of_groups(total, 0.0);
    for (auto& part : about_groups) part.assign(total, 0.0);
    parallel_for(groups_.size(), n_threads, [&](std::size_t g, int thread) {
        if (partners_[g].empty()) return;
        collect(g, atoms, of_groups.data() + g * size, aligned(scratch[thread], scratch_size));
    });
    parallel_for((pairs_.size() + lanes - 1) / lanes, n_threads, [&](std::size_t item, int thread) {
        const std::size_t first = item * lanes;
        exchange(first, std::min(lanes, pairs_.size() - first), of_groups.data(), about_groups[thread].data(),
                 aligned(scratch[thread], scratch_size));
    });
    for (int t = 1; t < n_threads; ++t) {
        for (std::size_t i = 0; i < total; ++i) about_groups[0][i] += about_groups[t][i];
    }
    parallel_for(groups_.size(), n_threads, [&](std::size_t g, int thread) {
        if (partners_[g].empty()) return;
        spread(g, about_groups[0].data() + g * size, gradients, atoms, aligned(scratch[thread], scratch_size));
    });
}

double GroupField::exchange_nanoseconds() const {
    double total = 0.0;
    for (const Pair& pair : pairs_) total += kTermPair * term_pairs(pair.order);
    return total;
}

}  // namespace densnet

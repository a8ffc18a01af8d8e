#include "densnet/basis.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace densnet {
namespace {

constexpr double kPi = 3.14159265358979323846;

Species make_species(int first_shell, int last_shell, const std::vector<std::int64_t>& l,
                     const std::vector<std::int64_t>& primitive_offset,
                     const std::vector<double>& exponents, const std::vector<double>& weights) {
    Species species;
    for (int s = first_shell; s < last_shell; ++s) {
        const auto begin = static_cast<std::size_t>(primitive_offset[s]);
        const auto end = static_cast<std::size_t>(primitive_offset[s + 1]);
        const double smallest =
            *std::min_element(exponents.begin() + begin, exponents.begin() + end);
        if (species.groups.empty() || species.groups.back().l != l[s] ||
            species.groups.back().smallest.back() > smallest) {
            Group group;
            group.l = static_cast<int>(l[s]);
            group.first_function = species.n_functions;
            group.first_primitive = static_cast<int>(begin);
            species.groups.push_back(group);
        }
        Group& group = species.groups.back();
        double moment = 0.0;
        for (std::size_t k = begin; k < end; ++k) {
            const double a = exponents[k];
            const double u = weights[k] * std::pow(kPi / a, 1.5) * std::pow(2.0 * a, -group.l);
            group.shell.push_back(group.n_shells);
            group.exponents.push_back(a);
            group.weights.push_back(weights[k]);
            group.reduced.push_back(u);
            group.potential.push_back(2.0 * std::sqrt(a / kPi) * std::pow(2.0 * a, group.l) * u);
            moment += u;
        }
        group.smallest.push_back(smallest);
        group.moment.push_back(moment);
        group.n_shells += 1;
        group.n_primitives += static_cast<int>(end - begin);
        group.contracted = group.contracted || end - begin > 1;
        for (int m = 0; m < 2 * group.l + 1; ++m) {
            species.multipole.push_back(group.l * group.l + m);
            species.moment.push_back(moment);
            species.signed_moment.push_back(group.l % 2 ? -moment : moment);
        }
        species.n_shells += 1;
        species.n_functions += 2 * group.l + 1;
        species.l_max = std::max(species.l_max, group.l);
    }
    for (const Group& group : species.groups) {
        species.group_l.push_back(group.l);
        species.group_shells.push_back(group.n_shells);
    }
    return species;
}

RadialPairs make_radial_pairs(Metric metric, const Group& a, const Group& b) {
    RadialPairs pairs;
    pairs.coupling = &coupling(a.l, b.l);
    const Coupling& k = *pairs.coupling;
    const int n = a.n_primitives * b.n_primitives;
    pairs.n_padded = (n + 7) / 8 * 8;
    pairs.p.assign(pairs.n_padded, 1.0);
    pairs.c.assign(pairs.n_padded, 0.0);
    pairs.w.assign(pairs.n_padded, 0.0);
    const double sign = (b.l + k.l_low + k.n) % 2 ? -1.0 : 1.0;
    const double far = (a.l % 2 ? -1.0 : 1.0) * double_factorial(k.l_high);
    for (int i = 0; i < a.n_primitives; ++i) {
        for (int j = 0; j < b.n_primitives; ++j) {
            const double x = a.exponents[i], y = b.exponents[j];
            const double p = x * y / (x + y), u = a.reduced[i] * b.reduced[j];
            const double c = sign * u * std::pow(p / kPi, 1.5) * std::pow(2.0 * p, k.l_low) *
                             std::pow(4.0 * p, k.n);
            const int at = i * b.n_primitives + j;
            pairs.p[at] = p;
            pairs.c[at] = metric == Metric::overlap ? c : c * kPi / p;
            pairs.w[at] = far * u;
        }
    }
    pairs.smallest_p = a.smallest[0] * b.smallest[0] / (a.smallest[0] + b.smallest[0]);
    for (const double x : a.smallest) {
        for (const double y : b.smallest) pairs.shell_p.push_back(x * y / (x + y));
    }
    return pairs;
}

// At R = 0 only L = 0 is left, with G_0 = δ_{l l'} δ_{m m'} / 4π and F_0 = 1.
std::vector<double> make_on_site(const Species& species, const SpeciesPair& pair, Metric metric) {
    const int n = species.n_functions;
    const int n_groups = static_cast<int>(species.groups.size());
    std::vector<double> block(static_cast<std::size_t>(n) * n, 0.0);
    for (int ga = 0; ga < n_groups; ++ga) {
        for (int gb = 0; gb < n_groups; ++gb) {
            const Group &a = species.groups[ga], &b = species.groups[gb];
            if (a.l != b.l) continue;
            const RadialPairs& radial = pair.groups[ga * n_groups + gb];
            const double factor = on_site_factor(metric, *radial.coupling);
            for (int i = 0; i < a.n_primitives; ++i) {
                for (int j = 0; j < b.n_primitives; ++j) {
                    const double value = radial.c[i * b.n_primitives + j] * factor;
                    for (int m = 0; m < 2 * a.l + 1; ++m) {
                        const int row = a.first_function + a.shell[i] * (2 * a.l + 1) + m;
                        const int column = b.first_function + b.shell[j] * (2 * a.l + 1) + m;
                        block[static_cast<std::size_t>(row) * n + column] += value;
                    }
                }
            }
        }
    }
    return block;
}

void check(bool good, const std::string& message) {
    if (!good) throw std::invalid_argument(message);
}

}  // namespace

double on_site_factor(Metric metric, const Coupling& coupling) {
    double factor = coupling.overlap_radial[0][0];
    if (metric == Metric::coulomb) factor = coupling.n > 0 ? coupling.coulomb_radial[0][0] : 2.0;
    return factor / (4.0 * kPi);
}

SpeciesPair make_species_pair(Metric metric, const Species& a, const Species& b) {
    SpeciesPair pair;
    for (const Group& x : a.groups) {
        for (const Group& y : b.groups) {
            pair.groups.push_back(make_radial_pairs(metric, x, y));
            const RadialPairs& last = pair.groups.back();
            const double limit = metric == Metric::overlap ? last.coupling->overlap_limit
                                                           : last.coupling->coulomb_limit;
            pair.squared_reach = std::max(pair.squared_reach, limit / last.smallest_p);
        }
    }
    return pair;
}

Basis::Basis(const std::vector<std::int64_t>& shell_offset, const std::vector<std::int64_t>& l,
             const std::vector<std::int64_t>& primitive_offset,
             const std::vector<double>& exponents, const std::vector<double>& weights) {
    const auto n_shells = static_cast<std::int64_t>(l.size());
    const auto n_primitives = static_cast<std::int64_t>(exponents.size());
    check(shell_offset.size() > 1 && shell_offset.front() == 0 && shell_offset.back() == n_shells &&
              std::is_sorted(shell_offset.begin(), shell_offset.end()),
          "shell_offset must ascend from 0 to the number of shells");
    check(primitive_offset.size() == l.size() + 1 && primitive_offset.front() == 0 &&
              primitive_offset.back() == n_primitives &&
              std::adjacent_find(primitive_offset.begin(), primitive_offset.end(),
                                 std::greater_equal<>()) == primitive_offset.end(),
          "primitive_offset must ascend from 0 to the number of primitives, one step a shell");
    check(weights.size() == exponents.size(), "weights must be as many as exponents");
    for (const auto value : l) {
        check(value >= 0 && value <= kMaxL, "l must lie between 0 and " + std::to_string(kMaxL) +
                                                ", got " + std::to_string(value));
    }
    for (const double a : exponents) {
        check(std::isfinite(a) && a > 0.0, "exponents must be positive and finite");
    }
    for (const double w : weights) check(std::isfinite(w), "weights must be finite");

    n_primitives_ = exponents.size();
    for (std::size_t s = 0; s + 1 < shell_offset.size(); ++s) {
        species_.push_back(make_species(static_cast<int>(shell_offset[s]),
                                        static_cast<int>(shell_offset[s + 1]), l, primitive_offset,
                                        exponents, weights));
        l_max_ = std::max(l_max_, species_.back().l_max);
    }
    for (const Metric metric : {Metric::overlap, Metric::coulomb}) {
        const int which = static_cast<int>(metric);
        for (std::size_t a = 0; a < species_.size(); ++a) {
            for (std::size_t b = 0; b < species_.size(); ++b) {
                pairs_[which].push_back(make_species_pair(metric, species_[a], species_[b]));
            }
            on_site_[which].push_back(
                make_on_site(species_[a], pairs_[which][a * species_.size() + a], metric));
        }
    }
}

}  // namespace densnet

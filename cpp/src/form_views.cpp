#include "form_views.hpp"

#include <algorithm>
#include <cmath>

namespace densnet {

std::vector<FormSpeciesView> make_species_views(const Basis& basis) {
    std::vector<FormSpeciesView> views;
    for (const Species& species : basis.species()) {
        FormSpeciesView view;
        view.n_functions = species.n_functions;
        for (const Group& group : species.groups) {
            FormGroup form{};
            form.l = group.l;
            form.n_shells = group.n_shells;
            form.n_primitives = group.n_primitives;
            form.first_function = group.first_function;
            form.first_primitive = group.first_primitive;
            form.shell = group.shell.data();
            form.exponents = group.exponents.data();
            form.weights = group.weights.data();
            form.reduced = group.reduced.data();
            form.potential = group.potential.data();
            form.smallest = group.smallest.front();
            form.moment = group.moment.data();
            view.groups.push_back(form);
            view.n_multipoles += 2 * group.l + 1;
            view.n_primitives += group.n_primitives;
        }
        views.push_back(view);
    }
    return views;
}

std::vector<FormRadial> make_pair_view(const SpeciesPair& pair) {
    std::vector<FormRadial> view;
    for (const RadialPairs& pairs : pair.groups) {
        view.push_back({pairs.coupling, pairs.p.data(), pairs.c.data(), pairs.smallest_p});
    }
    return view;
}

void collect_moments(const Species& species, const double* c, double* q) {
    for (const Group& group : species.groups) {
        const int n = 2 * group.l + 1;
        std::fill_n(q, n, 0.0);
        for (int shell = 0; shell < group.n_shells; ++shell) {
            const double* source = c + group.first_function + shell * n;
            for (int m = 0; m < n; ++m) q[m] += group.moment[shell] * source[m];
        }
        q += n;
    }
}

void finish_exponents(const Basis& basis, const double* energy, const double* slope,
                      double* by_exponent) {
    for (const Species& species : basis.species()) {
        for (const Group& group : species.groups) {
            const double power = group.l + 1.5, half_gamma = 0.5 * std::tgamma(power);
            for (int k = 0; k < group.n_primitives; ++k) {
                const double a = group.exponents[k];
                // The norm of a contraction: ∫φ² = Σ_ij w_i w_j Γ(l+3/2) / (2 (a_i + a_j)^{l+3/2}) = 1.
                double of_shell = 0.0, log_norm = 0.0;
                for (int j = 0; j < group.n_primitives; ++j) {
                    if (group.shell[j] != group.shell[k]) continue;
                    const double b = group.exponents[j];
                    of_shell += energy[group.first_primitive + j];
                    log_norm -= power * group.weights[k] * group.weights[j] * half_gamma /
                                std::pow(a + b, power) * (0.5 / a - 1.0 / (a + b));
                }
                const int at = group.first_primitive + k;
                // u ∝ a^{-l/2 - 3/4} for a normalised primitive
                by_exponent[at] = energy[at] * (-0.5 * group.l - 0.75) / a + slope[at] +
                                  (group.contracted ? of_shell * log_norm : 0.0);
            }
        }
    }
}

}  // namespace densnet

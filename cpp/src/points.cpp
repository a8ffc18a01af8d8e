#include <algorithm>
#include <vector>

#include "blocks.hpp"
#include "densnet/kernel.hpp"
#include "densnet/parallel.hpp"
#include "form_views.hpp"

namespace densnet {
namespace {

constexpr std::size_t kBlock = 256;  // points handed to a thread at a time

// The atoms of one structure with their coefficients in the order m = -l … l.
class PointsSource {
public:
    PointsSource(const Structures& structure, const double* coefficients)
        : views_(make_species_views(*structure.basis)) {
        const Basis& basis = *structure.basis;
        const auto first = first_functions(basis, structure.species, structure.n_atoms);
        ordered_.assign(coefficients, coefficients + first.back());
        std::vector<std::size_t> first_multipole(1, 0);
        for (std::size_t a = 0; a < structure.n_atoms; ++a) {
            const Species& species = basis.species()[structure.species[a]];
            for (const Group& group : species.groups) {
                if (group.l != 1) continue;
                for (int shell = 0; shell < group.n_shells; ++shell) {
                    double* p = ordered_.data() + first[a] + group.first_function + 3 * shell;
                    std::rotate(p, p + 1, p + 3);  // x, y, z to y, z, x
                }
            }
            first_multipole.push_back(first_multipole.back() +
                                      views_[structure.species[a]].n_multipoles);
        }
        multipoles_.resize(first_multipole.back());
        for (std::size_t a = 0; a < structure.n_atoms; ++a) {
            const Species& species = basis.species()[structure.species[a]];
            const FormSpeciesView& view = views_[structure.species[a]];
            collect_moments(species, ordered_.data() + first[a],
                            multipoles_.data() + first_multipole[a]);
            PointsAtom atom{};
            std::copy_n(structure.positions + 3 * a, 3, atom.position);
            atom.l_max = species.l_max;
            atom.n_groups = static_cast<int>(view.groups.size());
            atom.groups = view.groups.data();
            atom.coefficients = ordered_.data() + first[a];
            atom.multipoles = multipoles_.data() + first_multipole[a];
            atoms_.push_back(atom);
        }
    }

    template <typename Kernel>
    void run(Kernel kernel, const double* points, std::size_t n_points, int n_threads,
             double* values, double* gradients) const {
        // 0.1 ns and more for a function on a point
        n_threads = worthwhile_threads(
            n_threads, 0.1 * static_cast<double>(n_points) * static_cast<double>(ordered_.size()));
        parallel_for((n_points + kBlock - 1) / kBlock, n_threads, [&](std::size_t item, int) {
            PointsJob job{};
            job.n_atoms = static_cast<int>(atoms_.size());
            job.atoms = atoms_.data();
            job.points = points;
            job.first = static_cast<std::ptrdiff_t>(item * kBlock);
            job.last = static_cast<std::ptrdiff_t>(std::min(n_points, (item + 1) * kBlock));
            job.values = values;
            job.gradients = gradients;
            kernel(job);
        });
    }

private:
    std::vector<FormSpeciesView> views_;
    std::vector<double> ordered_, multipoles_;
    std::vector<PointsAtom> atoms_;
};

}  // namespace

void density_on_points(const Structures& structure, const double* coefficients,
                       const double* points, std::size_t n_points, int n_threads, double* values,
                       double* gradients) {
    PointsSource(structure, coefficients)
        .run(vector_kernels().density, points, n_points, n_threads, values, gradients);
}

void potential_on_points(const Structures& structure, const double* coefficients,
                         const double* points, std::size_t n_points, int n_threads,
                         double* values) {
    PointsSource(structure, coefficients)
        .run(vector_kernels().potential, points, n_points, n_threads, values, nullptr);
}

}  // namespace densnet

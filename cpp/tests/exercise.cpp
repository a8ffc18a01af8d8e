// Calls every function of the kernel, with every instruction set of this processor, on structures
// that reach all branches (contracted shells, every l, close and distant atoms, several
// threads), and compares fused with explicit results. Meant to run under sanitizers: make asan.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

#include "densnet/kernel.hpp"
#include "densnet/parallel.hpp"
#include "densnet/vector_kernels.hpp"

namespace {

int n_failures = 0;

void expect(double difference, double scale, double tolerance, const char* what) {
    if (difference <= tolerance * scale) return;
    std::printf("%s (%s): off by %.2e of %.2e\n", what, densnet::vector_kernels().name, difference,
                scale);
    ++n_failures;
}

// Uniform in [-1, 1], the same on every machine.
double random_number() {
    static unsigned long long state = 20260424;
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<double>(state >> 11) / 4503599627370496.0 - 1.0;
}

std::vector<double> random_vector(std::size_t n) {
    std::vector<double> values(n);
    for (double& x : values) x = random_number();
    return values;
}

// How often every item was worked on, by loops within items too; all must be 1.
bool visits_every_item_once(std::size_t n_items, int n_threads) {
    std::vector<std::atomic<int>> visits(n_items), inner(7 * n_items);
    std::atomic<bool> numbered{true};
    densnet::parallel_for(n_items, n_threads, [&](std::size_t i, int thread) {
        if (thread < 0 || thread >= n_threads) numbered = false;
        ++visits[i];
        densnet::parallel_for(7, n_threads, [&](std::size_t j, int) { ++inner[7 * i + j]; });
    });
    bool once = numbered;
    for (const auto& count : visits) once = once && count == 1;
    for (const auto& count : inner) once = once && count == 1;
    return once;
}

void exercise_threads() {
    int n_wrong = 0;
    for (const int n_threads : {1, 2, 5, 2}) {
        for (const std::size_t n_items : {0, 1, 3, 400}) {
            n_wrong += !visits_every_item_once(n_items, n_threads);
        }
    }
    expect(n_wrong, 1.0, 0.0, "items, one thread calling");
    std::atomic<int> n_missed{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 3; ++caller) {
        callers.emplace_back([&] {
            for (int turn = 0; turn < 200; ++turn) n_missed += !visits_every_item_once(20, 3);
        });
    }
    for (std::thread& caller : callers) caller.join();
    expect(n_missed, 1.0, 0.0, "items, three threads calling");
    int n_caught = 0;
    for (const std::size_t bad : {0, 50, 99}) {
        try {
            densnet::parallel_for(100, 3, [&](std::size_t i, int) {
                if (i == bad) throw std::runtime_error("item");
            });
        } catch (const std::runtime_error&) {
            n_caught += visits_every_item_once(20, 3);
        }
    }
    expect(std::abs(n_caught - 3), 1.0, 0.0, "exceptions of items");
    const pid_t child = fork();
    if (child == 0) _exit(visits_every_item_once(400, 3) ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    expect(std::abs(status), 1.0, 0.0, "items of a forked process");
}

// Two species: one of single s shells, one with every l, contractions, and odd numbers of shells.
densnet::Basis make_basis() {
    std::vector<std::int64_t> shell_offset{0, 2}, l{0, 0}, primitive_offset{0, 1, 2};
    std::vector<double> exponents{0.2, 3.0}, weights{0.5, 0.7};
    for (int degree = 0; degree <= densnet::kMaxL; ++degree) {
        for (int shell = 0; shell < 1 + (degree * 5) % 4; ++shell) {
            for (int k = 0; k <= (degree + shell) % 3; ++k) {
                exponents.push_back(0.05 * std::pow(3.1, shell) * std::pow(8.0, k));
                weights.push_back(0.3 + 0.1 * k);
            }
            l.push_back(degree);
            primitive_offset.push_back(static_cast<std::int64_t>(exponents.size()));
        }
    }
    shell_offset.push_back(static_cast<std::int64_t>(l.size()));
    return densnet::Basis(shell_offset, l, primitive_offset, exponents, weights);
}

double largest(const std::vector<double>& values) {
    double result = 0.0;
    for (const double x : values) result = std::max(result, std::abs(x));
    return result;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
    double result = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) result = std::max(result, std::abs(a[i] - b[i]));
    return result;
}

void exercise_metric(densnet::Metric metric, const densnet::Structures& structures, int n_threads) {
    const std::size_t n = structures.n_functions(), n_batch = structures.n_batch;
    std::vector<double> matrix(n_batch * n * n, NAN), cross(n_batch * n * n, NAN);
    densnet::metric_matrix(metric, structures, n_threads, false, matrix.data());
    densnet::cross_matrix(metric, structures, structures, n_threads, cross.data());
    expect(largest_difference(matrix, cross), largest(matrix), 1e-13, "cross matrix");
    std::vector<double> zeroed(n_batch * n * n, 0.0);
    densnet::metric_matrix(metric, structures, n_threads, true, zeroed.data());
    expect(largest_difference(matrix, zeroed), 1.0, 0.0, "matrix in memory of zeros");

    const std::vector<double> c = random_vector(n_batch * n);
    std::vector<double> expected(n_batch * n, 0.0), weights(n_batch * n * n);
    for (std::size_t s = 0; s < n_batch; ++s) {
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t j = 0; j < n; ++j) {
                const std::size_t at = s * n * n + i * n + j;
                expected[s * n + i] += matrix[at] * c[s * n + j];
                weights[at] = c[s * n + i] * c[s * n + j];
            }
        }
    }
    std::vector<double> applied(n_batch * n, NAN), fused(n_batch * n, NAN);
    densnet::metric_apply(metric, structures, c.data(), n_threads, applied.data());
    expect(largest_difference(applied, expected), largest(expected), 1e-12, "M c");
    const std::size_t n_coordinates = n_batch * structures.n_atoms * 3;
    const std::size_t n_primitives = structures.basis->n_primitives();
    std::vector<double> by_position(n_coordinates), by_exponent(n_primitives);
    std::vector<double> position_vjp(n_coordinates), exponent_vjp(n_primitives);
    densnet::quadratic_gradient(metric, structures, c.data(), n_threads, fused.data(),
                                by_position.data(), by_exponent.data());
    expect(largest_difference(fused, expected), largest(expected), 1e-12, "M c with gradient");
    densnet::metric_vjp(metric, structures, weights.data(), n_threads, position_vjp.data(),
                        exponent_vjp.data());
    expect(largest_difference(by_position, position_vjp), largest(position_vjp), 1e-11,
           "position gradient");
    expect(largest_difference(by_exponent, exponent_vjp), largest(exponent_vjp), 1e-11,
           "exponent gradient");
}

// Six groups of sixteen atoms, some 100 bohr apart: most pairs meet as expansions.
void exercise_groups(const densnet::Basis& basis, int n_threads) {
    std::vector<std::int64_t> species;
    std::vector<double> positions = random_vector(3 * 96);
    for (std::size_t a = 0; a < 96; ++a) {
        species.push_back(a % 6 == 0 ? 1 : 0);
        for (int axis = 0; axis < 3; ++axis) {
            positions[3 * a + axis] = 3.0 * positions[3 * a + axis] + 100.0 * (a / 16 >> axis & 1);
        }
    }
    const densnet::Structures clusters{&basis, species.data(), species.size(), positions.data(), 1};
    const std::size_t n = clusters.n_functions();
    std::vector<double> matrix(n * n, NAN), expected(n, 0.0), applied(n, NAN);
    const std::vector<double> c = random_vector(n);
    densnet::metric_matrix(densnet::Metric::coulomb, clusters, n_threads, false, matrix.data());
    for (std::size_t i = 0; i < n * n; ++i) {
        expected[i / n] += matrix[i] * c[i % n];
        matrix[i] = c[i / n] * c[i % n];
    }
    std::vector<double> by_position(3 * 96), position_vjp(3 * 96);
    std::vector<double> by_exponent(basis.n_primitives()), exponent_vjp(basis.n_primitives());
    densnet::quadratic_gradient(densnet::Metric::coulomb, clusters, c.data(), n_threads, applied.data(),
                                by_position.data(), by_exponent.data());
    expect(largest_difference(applied, expected), largest(expected), 1e-12, "M c of groups");
    densnet::metric_vjp(densnet::Metric::coulomb, clusters, matrix.data(), n_threads, position_vjp.data(),
                        exponent_vjp.data());
    expect(largest_difference(by_position, position_vjp), largest(position_vjp), 1e-11,
           "position gradient of groups");
    expect(largest_difference(by_exponent, exponent_vjp), largest(exponent_vjp), 1e-11,
           "exponent gradient of groups");
}

void exercise_points(const densnet::Structures& structure, int n_threads) {
    const std::vector<double> c = random_vector(structure.n_functions());
    for (const std::size_t n_points : {std::size_t{0}, std::size_t{1}, std::size_t{700}}) {
        std::vector<double> points = random_vector(3 * n_points);
        for (std::size_t i = 0; i < points.size(); ++i) points[i] *= i % 5 == 0 ? 50.0 : 4.0;
        for (int axis = 0; axis < 3 && n_points > 0; ++axis) {
            points[axis] = structure.positions[axis];
        }
        std::vector<double> density(n_points), alone(n_points), gradient(3 * n_points);
        std::vector<double> potential(n_points);
        densnet::density_on_points(structure, c.data(), points.data(), n_points, n_threads,
                                   density.data(), gradient.data());
        densnet::density_on_points(structure, c.data(), points.data(), n_points, n_threads,
                                   alone.data(), nullptr);
        expect(largest_difference(density, alone), largest(alone), 1e-14, "density");
        densnet::potential_on_points(structure, c.data(), points.data(), n_points, n_threads,
                                     potential.data());
        for (const double v : potential) expect(std::isfinite(v) ? 0.0 : 1.0, 1.0, 0.5, "potential");
    }
}

void exercise_wrong_arguments() {
    const std::vector<std::int64_t> offsets{0, 1};
    int n_refused = 0;
    for (const std::int64_t l : {-1, densnet::kMaxL + 1}) {
        try {
            densnet::Basis(offsets, {l}, offsets, {1.0}, {1.0});
        } catch (const std::invalid_argument&) {
            ++n_refused;
        }
    }
    for (const double exponent : {-1.0, 0.0, static_cast<double>(NAN)}) {
        try {
            densnet::Basis(offsets, {0}, offsets, {exponent}, {1.0});
        } catch (const std::invalid_argument&) {
            ++n_refused;
        }
    }
    expect(std::abs(n_refused - 5), 1.0, 0.0, "refused bases");
}

}  // namespace

int main() {
    const densnet::Basis basis = make_basis();
    const std::vector<std::int64_t> species{1, 0, 1, 0, 0, 1};
    // Two structures; in the second two atoms nearly coincide, two lie on the z axis, one is far away.
    std::vector<double> positions = random_vector(36);
    for (double& x : positions) x *= 3.0;
    for (int axis = 0; axis < 3; ++axis) {
        positions[21 + axis] = positions[18 + axis] + (axis == 0 ? 0.02 : 0.0);
        positions[24 + axis] = positions[18 + axis] - (axis == 2 ? 1.5 : 0.0);
        positions[33 + axis] = 60.0;
    }
    exercise_wrong_arguments();
    exercise_threads();
    for (const densnet::VectorKernels* kernels : densnet::available_kernels()) {
        densnet::use_kernels(kernels->name);
        for (const int n_threads : {1, 3}) {
            exercise_groups(basis, n_threads);
            for (const std::size_t n_batch : {std::size_t{1}, std::size_t{2}}) {
                const densnet::Structures structures{&basis, species.data(), species.size(),
                                                     positions.data(), n_batch};
                exercise_metric(densnet::Metric::overlap, structures, n_threads);
                exercise_metric(densnet::Metric::coulomb, structures, n_threads);
            }
            exercise_points({&basis, species.data(), species.size(), positions.data(), 1}, n_threads);
        }
        std::printf("%s: done\n", kernels->name);
    }
    // Large enough to be written past the caches.
    const std::vector<std::int64_t> many(30, 1);
    std::vector<double> chain(90);
    for (std::size_t i = 0; i < chain.size(); ++i) chain[i] = (i % 3 == 0 ? 1.3 : 0.1) * (i / 3.0);
    const densnet::Structures large{&basis, many.data(), many.size(), chain.data(), 1};
    const std::size_t n = large.n_functions();
    std::vector<double> matrix(n * n, NAN);
    for (const densnet::Metric metric : {densnet::Metric::overlap, densnet::Metric::coulomb}) {
        densnet::metric_matrix(metric, large, 2, false, matrix.data());
        double asymmetry = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t j = 0; j < i; ++j) {
                asymmetry = std::max(asymmetry, std::abs(matrix[i * n + j] - matrix[j * n + i]));
            }
        }
        expect(asymmetry, 1.0, 0.0, "symmetry of a large matrix");
        std::vector<double> expected(n * n, NAN);
        densnet::cross_matrix(metric, large, large, 2, expected.data());
        expect(largest_difference(matrix, expected), largest(expected), 1e-13, "large matrix");
        const std::vector<double> c = random_vector(n);
        std::vector<double> product(n, 0.0), applied(n, NAN);
        for (std::size_t i = 0; i < n * n; ++i) product[i / n] += matrix[i] * c[i % n];
        densnet::metric_apply(metric, large, c.data(), 2, applied.data());
        expect(largest_difference(applied, product), largest(product), 1e-12, "M c of a long chain");
    }
    std::printf("%s\n", n_failures == 0 ? "all results agree" : "results differ");
    return n_failures == 0 ? 0 : 1;
}

// Evaluation of a trained DenSNet model: energy, forces, virial and density of batches of structures.
//
// The two networks of densnet.nn and densnet.models with a backward pass by hand. float or double
// inside; positions, charges, moments, whitened coefficients and sums of energies always double.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace densnet {
namespace engine {

// One array of a saved model, row-major.
struct Tensor {
    std::vector<std::size_t> shape;
    std::vector<double> values;
};

// A quadrature of the sphere, exact for polynomials up to `degree`; weights sum to one.
struct SphereRule {
    int degree;
    std::vector<double> points;  // (n, 3)
    std::vector<double> weights;
};

struct NetworkSizes {
    int n_channels;
    int n_layers;
    int l_features;
    int l_two_body;
};

enum class Inputs { both, density, geometry };

// densnet.models.ModelConfig and what follows from the density basis.
struct Configuration {
    int n_species;
    double cutoff;  // bohr
    int n_radial;
    int n_contracted;
    NetworkSizes density_map;
    int n_transfer;
    NetworkSizes functional;
    int n_hidden;
    Inputs inputs;
    int l_density;
    int n_shells;
    // Of each species: where its coefficients, in the order of the basis, stand in (n_m, n_shells).
    std::vector<std::vector<std::int64_t>> order;
    std::vector<SphereRule> rules;
};

// Edges j → i of a batch, sorted by receiver.
struct Graph {
    std::size_t n_edges;
    const std::int64_t* receivers;
    const std::int64_t* senders;
    const double* shifts;  // (n_edges, 3), bohr, added to the sender's position
};

// n_batch structures of the same atoms.
struct Batch {
    std::size_t n_batch;
    std::size_t n_atoms;
    const std::int64_t* species;  // (n_atoms,)
    const double* positions;      // (n_batch, n_atoms, 3), bohr
    const Graph* graph;           // null: molecules, all pairs closer than the cutoff
};

// Where results go; atomic units.
struct Results {
    double* energy;        // (n_batch,)
    double* forces;        // (n_batch, n_atoms, 3)
    double* virial;        // (n_batch, 3, 3)
    double* dipole;        // (n_batch, 3)
    double* coefficients;  // (n_batch, n_functions)
    double* charges;       // (n_batch, n_atoms)
};

// What a stage took, summed over blocks; operations as executed (a multiply-add counts two).
struct StageCost {
    std::string name;
    double seconds = 0.0;
    double operations = 0.0;
};

class Engine {
public:
    virtual ~Engine() = default;
    // Number of density coefficients of these atoms.
    virtual std::size_t n_functions(const std::int64_t* species, std::size_t n_atoms) const = 0;
    // Safe to call from several threads at once. n_threads share the structures of the batch. Costs
    // are measured if asked for, with one thread.
    virtual void evaluate(const Batch& batch, int n_threads, const Results& results,
                          std::vector<StageCost>* costs) const = 0;
};

// Weights by their names in the model's state. Throws std::invalid_argument with the name of what is
// missing, has the wrong shape, or is beyond what the engine can do.
std::unique_ptr<Engine> make_engine(const Configuration& configuration,
                                    const std::map<std::string, Tensor>& weights, bool single);

}  // namespace engine
}  // namespace densnet

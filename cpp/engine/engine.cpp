#include "densnet/engine.hpp"

#include <mutex>
#include <stdexcept>

#include "densnet/parallel.hpp"
#include "network.hpp"

namespace densnet {
namespace engine {

namespace {

// Atoms of a block: fewer make the matrix products short, more leave the nearer caches.
constexpr std::size_t kBlockAtoms = 8;

template <typename T>
class EngineOf : public Engine {
public:
    EngineOf(const Configuration& configuration, const State& state) : weights_(configuration, state) {}

    std::size_t n_functions(const std::int64_t* species, std::size_t n_atoms) const override {
        std::size_t total = 0;
        for (std::size_t a = 0; a < n_atoms; ++a) total += weights_.sizes.order[species[a]].size();
        return total;
    }

    void evaluate(const Batch& batch, int n_threads, const Results& results,
                  std::vector<StageCost>* costs) const override {
        const KernelSet& set = kernels();
        const std::size_t n_rows = batch.n_batch * batch.n_atoms;
        std::vector<std::size_t> row;
        if (batch.graph != nullptr) row = rows_of(*batch.graph, n_rows);
        if (costs != nullptr) {
            costs->clear();
            for (const char* name : kStageNames) costs->push_back({name});
            n_threads = 1;
        }
        const std::size_t step = std::max<std::size_t>(1, kBlockAtoms / batch.n_atoms);
        const std::size_t n_blocks = (batch.n_batch + step - 1) / step;
        const std::size_t functions = n_functions(batch.species, batch.n_atoms);
        std::vector<std::unique_ptr<Workspace>> spaces;
        for (int t = 0; t < n_threads; ++t) spaces.push_back(borrow());
        Costs counter(costs);
        parallel_for(n_blocks, n_threads, [&](std::size_t i, int thread) {
            Workspace& space = *spaces[thread];
            const std::size_t first = i * step, n = std::min(step, batch.n_batch - first);
            space.arena.reset();
            counter.count(kEdges, 0.0, [&] {
                fill_block(batch, weights_.sizes.n_species, weights_.sizes.cutoff, row, first, n, space.block);
            });
            Network<T> network(weights_, set.of<T>(), set.of<double>(), space.block, space.arena, counter);
            network.evaluate(batch, functions, results);
        });
        for (auto& space : spaces) give_back(std::move(space));
    }

private:
    struct Workspace {
        Arena arena;
        Block block;
    };

    // The first edge of every receiver.
    static std::vector<std::size_t> rows_of(const Graph& graph, std::size_t n_rows) {
        std::vector<std::size_t> row(n_rows + 1, 0);
        for (std::size_t e = 0; e < graph.n_edges; ++e) ++row[graph.receivers[e] + 1];
        for (std::size_t i = 0; i < n_rows; ++i) row[i + 1] += row[i];
        return row;
    }

    std::unique_ptr<Workspace> borrow() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (idle_.empty()) return std::make_unique<Workspace>();
        auto space = std::move(idle_.back());
        idle_.pop_back();
        return space;
    }
    void give_back(std::unique_ptr<Workspace> space) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        idle_.push_back(std::move(space));
    }

    Weights<T> weights_;
    mutable std::mutex mutex_;
    mutable std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace

std::unique_ptr<Engine> make_engine(const Configuration& configuration,
                                    const std::map<std::string, Tensor>& weights, bool single) {
    const State state(weights);
    if (single) return std::make_unique<EngineOf<float>>(configuration, state);
    return std::make_unique<EngineOf<double>>(configuration, state);
}

}  // namespace engine
}  // namespace densnet

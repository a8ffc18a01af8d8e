// Where the time of an evaluation goes, if anybody asks.
#pragma once

#include <chrono>
#include <vector>

#include "densnet/engine.hpp"

namespace densnet {
namespace engine {

enum Stage { kEdges, kRadial, kSums, kLinear, kProduct, kConvolution, kCharges, kObservables, kStages };
constexpr const char* kStageNames[kStages] = {
    "edges",        "radial functions", "neighbour sums", "linear maps",
    "sphere products", "convolutions",  "charges, energy head", "observables"};

class Costs {
public:
    explicit Costs(std::vector<StageCost>* costs) : costs_(costs) {}

    // Do work, which takes some floating-point operations, on a stage's account.
    template <typename Work>
    void count(Stage stage, double operations, const Work& work) {
        if (costs_ == nullptr) return work();
        const auto start = std::chrono::steady_clock::now();
        work();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        (*costs_)[stage].seconds += took.count();
        (*costs_)[stage].operations += operations;
    }

private:
    std::vector<StageCost>* costs_;
};

}  // namespace engine
}  // namespace densnet

// Threads by argument: work is handed out item by item, the caller's thread takes part.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

namespace densnet {

// work(item, thread) for every item; thread is 0 … n_threads - 1. The first exception is rethrown.
template <typename Work>
void parallel_for(std::size_t n_items, int n_threads, const Work& work) {
    const int n = static_cast<int>(std::min<std::size_t>(n_items, static_cast<std::size_t>(n_threads)));
    if (n <= 1) {
        for (std::size_t i = 0; i < n_items; ++i) work(i, 0);
        return;
    }
    std::atomic<std::size_t> next{0};
    std::vector<std::exception_ptr> errors(n);
    const auto run = [&](int thread) {
        try {
            for (std::size_t i = next++; i < n_items; i = next++) work(i, thread);
        } catch (...) {
            errors[thread] = std::current_exception();
            next = n_items;
        }
    };
    std::vector<std::thread> threads;
    for (int t = 1; t < n; ++t) threads.emplace_back(run, t);
    run(0);
    for (std::thread& thread : threads) thread.join();
    for (const std::exception_ptr& error : errors) {
        if (error) std::rethrow_exception(error);
    }
}

}  // namespace densnet

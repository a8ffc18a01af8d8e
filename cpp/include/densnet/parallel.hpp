// Threads by argument: work is handed out item by item, the caller's thread takes part.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <vector>

#include "densnet/worker_pool.hpp"

namespace densnet {

// A thread more is worth it for so much work: one that is awake takes its share within 0.5 µs, one that
// sleeps begins 5 to 10 µs later, and what another core has written has to come from its caches.
constexpr double kWorthwhileNanoseconds = 10000.0;

// How many of the threads asked for should share work that takes one thread some time.
inline int worthwhile_threads(int n_threads, double nanoseconds) {
    return static_cast<int>(std::clamp(nanoseconds / kWorthwhileNanoseconds, 1.0, 1.0 * n_threads));
}

// work(item, thread) for every item; thread is 0 … n_threads - 1. Within such work, and while another
// thread shares work, the caller does all by itself. The first exception is rethrown.
template <typename Work>
void parallel_for(std::size_t n_items, int n_threads, const Work& work) {
    struct Shared {
        const Work& work;
        std::size_t n_items;
        std::atomic<std::size_t> next;
        std::vector<std::exception_ptr> errors;
    };
    const auto alone = [&] {
        for (std::size_t i = 0; i < n_items; ++i) work(i, 0);
    };
    const auto n = static_cast<int>(std::min(n_items, static_cast<std::size_t>(n_threads)));
    if (n <= 1) return alone();
    Shared shared{work, n_items, {0}, std::vector<std::exception_ptr>(n)};
    const auto take_part = [](void* context, int thread) {
        auto& all = *static_cast<Shared*>(context);
        try {
            for (std::size_t i = all.next++; i < all.n_items; i = all.next++) all.work(i, thread);
        } catch (...) {
            all.errors[thread] = std::current_exception();
            all.next = all.n_items;
        }
    };
    if (!WorkerPool::instance().run(take_part, &shared, n)) return alone();
    for (const std::exception_ptr& error : shared.errors) {
        if (error) std::rethrow_exception(error);
    }
}

}  // namespace densnet

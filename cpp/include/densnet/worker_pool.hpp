// The threads of a process, kept between calls: starting one costs as much as a whole overlap matrix
// of a small molecule.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace densnet {

class WorkerPool {
public:
    // Must not throw; returns when there is nothing left to do.
    using Task = void (*)(void* context, int thread);

    // The pool of the process, empty at first; a child of fork() has an empty one again. It is never
    // destroyed, so that workers asleep at the end of the process need not be woken.
    static WorkerPool& instance() { return *instance_; }

    // task(context, 0) here, and task(context, 1 … n_threads - 1) on workers that come before this
    // thread is done: it waits for those that have begun, not for those still waking up. False, and
    // nothing done, if another thread, or this one further up, uses the pool.
    bool run(Task task, void* context, int n_threads) {
        if (busy_.exchange(true)) return false;
        const int places = std::min(n_threads - 1, grow(n_threads - 1));
        task_ = task;
        context_ = context;
        state_.store(static_cast<std::uint64_t>(places) << kPlaces);
        wake(places - awake_.load());
        task(context, 0);
        state_.fetch_and(kInsideMask);
        if (!spin([&] { return state_.load() == 0; })) {
            std::unique_lock<std::mutex> lock(mutex_);
            waiting_.store(true);
            done_.wait(lock, [&] { return state_.load() == 0; });
            waiting_.store(false);
        }
        busy_.store(false);
        return true;
    }

private:
    // The upper half of the state counts the places left for workers, the lower those that work.
    static constexpr int kPlaces = 32;
    static constexpr std::uint64_t kPlace = std::uint64_t{1} << kPlaces, kInsideMask = kPlace - 1;

    // How long a thread looks for work, or for the end of it, before it sleeps: longer than Python
    // takes from one call to the next. It gives way to others that share its processor.
    static constexpr std::chrono::microseconds kSpin{30};

    template <typename Ready>
    static bool spin(const Ready& ready) {
        const auto end = std::chrono::steady_clock::now() + kSpin;
        do {
            for (int i = 0; i < 16; ++i) {
                if (ready()) return true;
#if defined(__x86_64__) || defined(__i386__)
                __builtin_ia32_pause();
#endif
            }
            std::this_thread::yield();
        } while (std::chrono::steady_clock::now() < end);
        return false;
    }

    // At least so many workers, or as many as the system allows; returns how many there are.
    int grow(int n_workers) {
        if (n_workers_ >= n_workers) return n_workers_;
        // Signals are for the threads of the program.
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        try {
            for (; n_workers_ < n_workers; ++n_workers_) {
                std::thread([this] {
                    for (;;) {
                        const int thread = join();
                        task_(context_, thread);
                        leave();
                    }
                }).detach();
            }
        } catch (const std::system_error&) {
            // The system allows no more of them: the work is shared among fewer.
        }
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return n_workers_;
    }

    // A worker's number, once there is a place.
    int join() {
        int thread = 0;
        awake_.fetch_add(1);
        const bool found = spin([&] { return (thread = take_place()) > 0; });
        awake_.fetch_sub(1);
        if (found) return thread;
        std::unique_lock<std::mutex> lock(mutex_);
        asleep_.fetch_add(1);
        wake_.wait(lock, [&] { return (thread = take_place()) > 0; });
        asleep_.fetch_sub(1);
        return thread;
    }

    int take_place() {
        std::uint64_t state = state_.load();
        while (state >= kPlace) {
            if (state_.compare_exchange_weak(state, state - kPlace + 1)) {
                return static_cast<int>(state >> kPlaces);
            }
        }
        return 0;
    }

    void leave() {
        if (state_.fetch_sub(1) == 1 && waiting_.load()) {
            const std::lock_guard<std::mutex> lock(mutex_);
            done_.notify_one();
        }
    }

    // A worker counts as asleep before it looks for a place the last time, so none is missed.
    void wake(int count) {
        count = std::min(count, asleep_.load());
        if (count <= 0) return;
        { const std::lock_guard<std::mutex> lock(mutex_); }
        for (int i = 0; i < count; ++i) wake_.notify_one();
    }

    static WorkerPool* make() {
        pthread_atfork(nullptr, nullptr, [] { new (instance_) WorkerPool; });
        return new WorkerPool;
    }

    static WorkerPool* const instance_;

    std::atomic<std::uint64_t> state_{0};
    Task task_ = nullptr;
    void* context_ = nullptr;
    std::atomic<int> awake_{0}, asleep_{0};
    std::atomic<bool> busy_{false}, waiting_{false};
    int n_workers_ = 0;  // of those who are busy
    std::mutex mutex_;
    std::condition_variable wake_, done_;
};

inline WorkerPool* const WorkerPool::instance_ = WorkerPool::make();

}  // namespace densnet

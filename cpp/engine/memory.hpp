// Aligned arrays, and memory that one evaluation takes piece by piece and the next one takes again.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "kernels.hpp"

namespace densnet {
namespace engine {

// Values of T rounded up to whole cache lines.
template <typename T>
constexpr int padded(int n) {
    constexpr int line = kLineBytes / static_cast<int>(sizeof(T));
    return (n + line - 1) / line * line;
}

struct Free {
    void operator()(void* p) const { ::operator delete(p, std::align_val_t{kLineBytes}); }
};

inline std::unique_ptr<void, Free> allocate(std::size_t bytes) {
    return std::unique_ptr<void, Free>(
        ::operator new(std::max<std::size_t>(bytes, kLineBytes), std::align_val_t{kLineBytes}));
}

// A fixed array on a cache line, zero at first.
template <typename T>
class Aligned {
public:
    Aligned() = default;
    explicit Aligned(std::size_t size) : memory_(allocate(size * sizeof(T))), size_(size) {
        std::memset(memory_.get(), 0, size * sizeof(T));
    }
    T* data() { return static_cast<T*>(memory_.get()); }
    const T* data() const { return static_cast<const T*>(memory_.get()); }
    std::size_t size() const { return size_; }
    T& operator[](std::size_t i) { return data()[i]; }
    const T& operator[](std::size_t i) const { return data()[i]; }

private:
    std::unique_ptr<void, Free> memory_;
    std::size_t size_ = 0;
};

// Everything taken is valid until the next reset.
class Arena {
public:
    template <typename T>
    T* take(std::size_t n) {
        const std::size_t bytes = (n * sizeof(T) + kLineBytes - 1) / kLineBytes * kLineBytes;
        if (chunks_.empty() || used_ + bytes > chunks_.back().size) {
            chunks_.push_back({allocate(std::max(bytes, kSmallest)), std::max(bytes, kSmallest)});
            used_ = 0;
        }
        char* at = static_cast<char*>(chunks_.back().memory.get()) + used_;
        used_ += bytes;
        return reinterpret_cast<T*>(at);
    }
    template <typename T>
    T* take_zeros(std::size_t n) {
        T* at = take<T>(n);
        std::memset(static_cast<void*>(at), 0, n * sizeof(T));
        return at;
    }
    // What did not fit into one piece will next time.
    void reset() {
        if (chunks_.size() > 1) {
            std::size_t total = 0;
            for (const Chunk& chunk : chunks_) total += chunk.size;
            chunks_.clear();
            chunks_.push_back({allocate(total), total});
        }
        used_ = 0;
    }

private:
    static constexpr std::size_t kSmallest = std::size_t{1} << 20;
    struct Chunk {
        std::unique_ptr<void, Free> memory;
        std::size_t size;
    };
    std::vector<Chunk> chunks_;
    std::size_t used_ = 0;
};

}  // namespace engine
}  // namespace densnet

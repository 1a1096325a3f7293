// Splits the jobs of one call over threads that live as long as the call; knows not what they do.
//
// Plain threads, not a pool that stays: between two calls in training torch's own threads are at
// work, and threads that wait for the next call would share their cores.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <thread>
#include <vector>

#include "denormals.h"

namespace jobs {

constexpr int kCacheLine = 64;

// Scratch memory that starts on a cache line; one for each thread.
template <class Real> class Scratch {
  Real* data_;

 public:
  explicit Scratch(std::size_t n)
      : data_(static_cast<Real*>(::operator new(n * sizeof(Real) + kCacheLine))) {}
  ~Scratch() { ::operator delete(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Real* begin() const {
    const auto p = reinterpret_cast<uintptr_t>(data_);
    return reinterpret_cast<Real*>((p + kCacheLine - 1) / kCacheLine * kCacheLine);
  }
};

// Runs work(0..count-1, scratch) on up to `threads` threads, each with `size` Reals of scratch
// memory. Returns 0, or 1 when memory ran out.
template <class Real, class Work>
int spread(int64_t count, int64_t threads, std::size_t size, const Work& work) {
  std::atomic<int64_t> next{0};
  std::atomic<int> failed{0};
  auto worker = [&] {
    const FlushDenormals flush;
    try {
      const Scratch<Real> scratch(size);
      for (int64_t job = next++; job < count; job = next++) work(job, scratch.begin());
    } catch (const std::bad_alloc&) {
      failed = 1;
    }
  };
  std::vector<std::thread> crew;
  try {
    const int64_t wanted = std::min<int64_t>(threads, count) - 1;
    for (int64_t n = 0; n < wanted; ++n) crew.emplace_back(worker);
  } catch (const std::exception&) {
    // The system gives no more threads: those already there and this one do the work.
  }
  worker();
  for (auto& member : crew) member.join();
  return failed;
}

}  // namespace jobs

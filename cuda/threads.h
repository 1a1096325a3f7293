// Threads that stay: a stage of work is split over them in a microsecond. Knows nothing of networks.
//
// A stage is a number of units, taken in turn by whoever is free. The caller takes units too and
// waits until all are done, not until all threads have come: one that the system keeps from running
// delays nobody. Between stages a thread spins for a while, then sleeps.

#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <unistd.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "denormals.h"

namespace threads {

using ::FlushDenormals;

inline void pause() {
#if defined(__SSE2__)
  _mm_pause();
#endif
}

class Pool {
 public:
  // The process's pool with `threads` - 1 threads beside the caller, which has it alone until
  // release(); nullptr for one thread, and while another caller has it. A forked child has none of
  // its parent's threads and gets a pool of its own.
  static Pool* acquire(int threads) {
    static std::atomic<Pool*> current{nullptr};
    if (threads < 2) return nullptr;
    Pool* pool = current.load();
    while (!pool || pool->process_ != getpid()) {
      Pool* fresh = new (std::nothrow) Pool;
      if (!fresh) return nullptr;
      // The parent's is left as it is: its locks may be held by threads that are not here.
      if (current.compare_exchange_strong(pool, fresh)) {
        pool = fresh;
      } else {
        delete fresh;
      }
    }
    if (pool->busy_.exchange(true)) return nullptr;
    pool->grow(threads - 1);
    return pool;
  }

  void release() { busy_.store(false); }

  int threads() const { return active_.load() + 1; }

  // work(thread, unit) for every unit in [0, units), 0 <= thread < threads().
  template <class Work> void run(int64_t units, const Work& work) {
    begin(
        units, &work,
        [](const void* context, int thread, int64_t unit) {
          (*static_cast<const Work*>(context))(thread, unit);
        });
    take(0, ticket_.load());
    for (int spins = 0; done_.load() < units; ++spins) {
      pause();
      if (spins > kPatience) std::this_thread::yield();
    }
  }

 private:
  using Call = void (*)(const void*, int, int64_t);
  static constexpr int kPatience = 2000;         // turns of a loop before the core is offered
  static constexpr auto kAwake = std::chrono::microseconds(200);
  static constexpr uint64_t kUnits = 0xffffffffu;  // the ticket's lower half

  Pool() : process_(getpid()) {}

  void grow(int wanted) {
    for (; made_ < wanted; ++made_) {
      try {
        std::thread([this, id = made_ + 1] { serve(id); }).detach();
      } catch (const std::system_error&) {
        break;  // the system gives no more: those already there do the work
      }
    }
    active_.store(std::min(wanted, made_));
  }

  void begin(int64_t units, const void* context, Call call) {
    // The ticket is the stage's number and, below, the next unit. It is closed while the stage is
    // described, so whoever takes a unit has read the description that belongs to it.
    const uint64_t stage = (ticket_.load() >> 32) + 1;
    ticket_.store(stage << 32 | kUnits);
    units_.store(units);
    context_.store(context);
    call_.store(call);
    done_.store(0);
    ticket_.store((stage + 1) << 32);
    if (sleeping_.load() > 0) {
      const std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_all();
    }
  }

  void take(int thread, uint64_t ticket) {
    for (;;) {
      const int64_t unit = static_cast<int64_t>(ticket & kUnits);
      const Call call = call_.load();
      const void* context = context_.load();
      if (thread > active_.load() || unit >= units_.load()) return;
      if (!ticket_.compare_exchange_weak(ticket, ticket + 1)) continue;
      call(context, thread, unit);
      done_.fetch_add(1);
      ticket = ticket_.load();
    }
  }

  void serve(int id) {
    const FlushDenormals flush;
    uint64_t seen = 0;
    for (;;) {
      const uint64_t ticket = await(seen);
      seen = ticket >> 32;
      take(id, ticket);
    }
  }

  // A ticket of another stage than `seen`.
  uint64_t await(uint64_t seen) {
    using Clock = std::chrono::steady_clock;
    const auto until = Clock::now() + kAwake;
    do {
      for (int n = 0; n < 64; ++n) {
        const uint64_t ticket = ticket_.load();
        if (ticket >> 32 != seen) return ticket;
        pause();
      }
    } while (Clock::now() < until);
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_.fetch_add(1);
    uint64_t ticket = 0;
    wake_.wait(lock, [&] { return (ticket = ticket_.load()) >> 32 != seen; });
    sleeping_.fetch_sub(1);
    return ticket;
  }

  const pid_t process_;
  int made_ = 0;
  std::atomic<bool> busy_{false};
  std::atomic<int> active_{0}, sleeping_{0};
  std::atomic<uint64_t> ticket_{0};
  std::atomic<int64_t> units_{0}, done_{0};
  std::atomic<const void*> context_{nullptr};
  std::atomic<Call> call_{nullptr};
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace threads

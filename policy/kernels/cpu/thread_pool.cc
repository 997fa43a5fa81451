#include "policy/kernels/cpu/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace aha::policy::cpu {
namespace {

// Kernels follow one another within microseconds: looking again for so long is cheaper than
// sleeping.
constexpr int kSpins = 4000;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int t = 1; t < threads; ++t) {
    workers_.emplace_back([this, t] { Work(static_cast<std::size_t>(t)); });
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_)
    worker.join();
}

void ThreadPool::Run(std::size_t parts, void* context, Job job) const {
  job_ = job;
  context_ = context;
  parts_ = parts;
  pending_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  job(context, 0);
  for (int spin = 0; pending_.load(std::memory_order_acquire) != 0; ++spin) {
    if (spin < kSpins) {
      Pause();
    } else {
      std::this_thread::yield();  // the core may be what the others wait for
    }
  }
}

void ThreadPool::Work(std::size_t part) {
  std::uint32_t seen = 0;
  while (true) {
    std::uint32_t now = round_.load(std::memory_order_acquire);
    for (int spin = 0; now == seen && spin < kSpins; ++spin) {
      Pause();
      now = round_.load(std::memory_order_acquire);
    }
    if (now == seen) {
      round_.wait(seen, std::memory_order_acquire);
      continue;
    }
    seen = now;
    if (stop_.load(std::memory_order_relaxed)) return;
    if (part < parts_) job_(context_, part);
    pending_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace aha::policy::cpu

#pragma once
/// A few threads for kernels: the caller works too and joins. Shares are fixed by count and thread
/// number alone.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace aha::policy::cpu {

/// Half-open range of a whole that is cut in `parts` nearly equal shares.
struct Share {
  std::size_t begin = 0, end = 0;
};
inline Share ShareOf(std::size_t count, std::size_t parts, std::size_t part) {
  return {count * part / parts, count * (part + 1) / parts};
}

class ThreadPool {
 public:
  /// `threads` counts the caller: a pool of 1 has no thread of its own.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls fn(begin, end) on shares of [0, count), at most one a thread and none below `grain`, and
  /// returns when all are done; what they wrote is then seen. `fn` must not throw. When the pool is
  /// at work already (a call from inside a share, or from another thread), the caller does all by
  /// itself: same results, as a kernel's shares do not matter.
  template <class F>
  void ParallelFor(std::size_t count, std::size_t grain, const F& fn) const {
    if (count == 0) return;
    const std::size_t most = grain > 1 ? (count + grain - 1) / grain : count;
    const std::size_t parts = most < workers_.size() + 1 ? most : workers_.size() + 1;
    std::unique_lock<std::mutex> lock(busy_, std::defer_lock);
    if (parts <= 1 || !lock.try_lock()) {
      fn(std::size_t{0}, count);
      return;
    }
    struct Context {
      const F* fn;
      std::size_t count, parts;
    } context{&fn, count, parts};
    Run(parts, &context, [](void* raw, std::size_t part) {
      const auto* c = static_cast<const Context*>(raw);
      const Share share = ShareOf(c->count, c->parts, part);
      (*c->fn)(share.begin, share.end);
    });
  }

 private:
  using Job = void (*)(void* context, std::size_t part);
  void Run(std::size_t parts, void* context, Job job) const;
  void Work(std::size_t part);

  mutable std::mutex busy_;  // held while a job runs; guards the job below
  mutable Job job_ = nullptr;
  mutable void* context_ = nullptr;
  mutable std::size_t parts_ = 0;
  mutable std::atomic<std::uint32_t> round_{0};    // raised when a job is there
  mutable std::atomic<std::uint32_t> pending_{0};  // workers that have not finished the round
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace aha::policy::cpu

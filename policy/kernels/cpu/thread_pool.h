#pragma once
/// A few threads for kernels: the caller works too and joins. Shares are fixed by count and thread
/// number alone.

#include <algorithm>
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

  /// Shares that work of uneven parts is best cut into.
  [[nodiscard]] std::size_t shares() const {
    return workers_.empty() ? 1 : kSharesPerThread * (workers_.size() + 1);
  }
  [[nodiscard]] int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls fn(begin, end) on shares of [0, count), none below `grain`, and returns when all are
  /// done; what they wrote is then seen. Where shares are cut is fixed by count, grain and thread
  /// number. Which thread takes which is not: a thread that the system has put aside keeps nobody
  /// waiting for shares that it has not begun. `fn` must not throw. When the pool is at work
  /// already (a call from inside a share, or from another thread), the caller does all by itself:
  /// same results, as a kernel's shares do not matter.
  template <class F>
  void ParallelFor(std::size_t count, std::size_t grain, const F& fn) const {
    if (count == 0) return;
    const std::size_t most = grain > 1 ? (count + grain - 1) / grain : count;
    const std::size_t parts = std::min(most, shares());
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
  static constexpr std::size_t kSharesPerThread = 4;
  using Job = void (*)(void* context, std::size_t part);

  // A round of work as one word: its number, how many shares it has, and the next that nobody has
  // taken.
  struct Ticket {
    std::uint32_t round;
    std::uint16_t parts, next;
  };

  void Run(std::size_t parts, void* context, Job job) const;
  void TakeShares() const;
  void Work();

  mutable std::mutex busy_;  // held while a round runs; its holder writes the job
  // Read by those who took a share of the round, which cannot end before their share.
  mutable Job job_ = nullptr;
  mutable void* context_ = nullptr;
  mutable std::atomic<std::uint32_t> done_{0};  // shares of the round
  mutable std::atomic<std::uint32_t> round_{0};
  mutable std::atomic<Ticket> ticket_{Ticket{0, 0, 0}};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace aha::policy::cpu

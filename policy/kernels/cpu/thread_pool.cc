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
  for (int t = 1; t < threads; ++t)
    workers_.emplace_back([this] { Work(); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_)
    worker.join();
}

void ThreadPool::TakeShares() const {
  Ticket ticket = ticket_.load(std::memory_order_acquire);
  while (ticket.next < ticket.parts) {
    const Ticket taken = {ticket.round, ticket.parts, static_cast<std::uint16_t>(ticket.next + 1)};
    if (!ticket_.compare_exchange_weak(ticket, taken, std::memory_order_acq_rel,
                                       std::memory_order_acquire))
      continue;
    job_(context_, ticket.next);
    done_.fetch_add(1, std::memory_order_release);
    ticket = ticket_.load(std::memory_order_acquire);
  }
}

void ThreadPool::Run(std::size_t parts, void* context, Job job) const {
  job_ = job;
  context_ = context;
  done_.store(0, std::memory_order_relaxed);
  const std::uint32_t round = round_.load(std::memory_order_relaxed) + 1;
  ticket_.store({round, static_cast<std::uint16_t>(parts), 0}, std::memory_order_release);
  round_.store(round, std::memory_order_release);
  round_.notify_all();
  TakeShares();
  for (int spin = 0; done_.load(std::memory_order_acquire) != parts; ++spin) {
    if (spin < kSpins) {
      Pause();
    } else {
      std::this_thread::yield();  // the core may be what the others wait for
    }
  }
}

void ThreadPool::Work() {
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
    TakeShares();
  }
}

}  // namespace aha::policy::cpu

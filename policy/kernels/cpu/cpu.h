#pragma once
/// What a kernel runs on: instructions and threads. Passed to every kernel; there is no global one.

#include <cstddef>

#include "policy/kernels/cpu/target.h"
#include "policy/kernels/cpu/thread_pool.h"
#include "policy/kernels/cpu/work_clock.h"

namespace aha::policy::cpu {

/// Kernels may be called with one Cpu from several threads; then only one of them is helped by its
/// pool.
class Cpu {
 public:
  Cpu(KernelTarget target, int threads) : target_(target), pool_(threads) {}

  [[nodiscard]] KernelTarget target() const { return target_; }
  [[nodiscard]] int threads() const { return pool_.threads(); }
  [[nodiscard]] const ThreadPool& pool() const { return pool_; }
  /// Borrowed; null: nobody measures.
  [[nodiscard]] WorkClock* clock() const { return clock_; }
  void set_clock(WorkClock* clock) { clock_ = clock; }

 private:
  KernelTarget target_;
  ThreadPool pool_;
  WorkClock* clock_ = nullptr;
};

/// Memory of this thread for a kernel's intermediate results, at least `bytes`, aligned to 64, kept
/// between calls. Slots are apart: what one call holds in a slot is gone when the same slot is
/// asked for again.
enum class ScratchSlot : unsigned char {
  kRows,
  kTile,
  kScores,
  kMix,
  kPage,
  kState,
  kLogits,
  kSlopes,
  kCount
};
void* ThreadScratch(ScratchSlot slot, std::size_t bytes);

}  // namespace aha::policy::cpu

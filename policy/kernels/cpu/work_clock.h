#pragma once
/// What the time of a step goes to, kind by kind: decoding or training. A Cpu that has no clock
/// pays nothing but a look.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

namespace aha::policy::cpu {

enum class Work : std::uint8_t {
  kOther,              ///< what is not named below
  kNorm,               ///< forward: norms, rotations, sums with the residual
  kProjections,        ///< forward: into and out of attention
  kAttention,          ///< forward: over the pages, and writing them
  kNetwork,            ///< forward: dense and shared networks
  kExperts,            ///< forward: routed experts, dispatch and combine
  kRouter,             ///< forward: which experts
  kHead,               ///< forward: logits; log-probabilities of given tokens
  kSampling,           ///< from logits to drawn tokens
  kInputGradient,      ///< products with transposed weights, and the steps between them
  kWeightGradient,     ///< but for the head's
  kAttentionGradient,  ///< of queries, keys and values
  kHeadGradient,       ///< logits again, their gradient, that of hidden states and of the head
  kClip,               ///< the gradient's norm
  kOptimizer,          ///< moments, masters and weights
  kClear,              ///< of gradients
  kCount
};

/// Charges the time of the thread that made it to one kind of work at a time.
class WorkClock {
 public:
  /// Changes to `work` and returns what was charged before. The head's parts are charged to it.
  Work Enter(Work work) {
    if (now_ == Work::kHead || now_ == Work::kHeadGradient) return now_;
    return Change(work);
  }
  void Leave(Work before) { Change(before); }
  [[nodiscard]] bool mine() const { return std::this_thread::get_id() == owner_; }
  [[nodiscard]] double seconds(Work work) const { return seconds_[static_cast<std::size_t>(work)]; }
  /// From zero, charging kOther.
  void Restart() {
    seconds_.fill(0);
    now_ = Work::kOther;
    since_ = Clock::now();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Work Change(Work work) {
    const auto time = Clock::now();
    seconds_[static_cast<std::size_t>(now_)] +=
        std::chrono::duration<double>(time - since_).count();
    since_ = time;
    const Work before = now_;
    now_ = work;
    return before;
  }
  std::thread::id owner_ = std::this_thread::get_id();
  Clock::time_point since_ = Clock::now();
  Work now_ = Work::kOther;
  std::array<double, static_cast<std::size_t>(Work::kCount)> seconds_ = {};
};

/// While it lives, time goes to `work`. Other threads' work is inside what the clock's own waits
/// for.
class Working {
 public:
  Working(WorkClock* clock, Work work)
      : clock_(clock != nullptr && clock->mine() ? clock : nullptr),
        before_(clock_ != nullptr ? clock_->Enter(work) : work) {}
  ~Working() {
    if (clock_ != nullptr) clock_->Leave(before_);
  }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;

 private:
  WorkClock* clock_;
  Work before_;
};

}  // namespace aha::policy::cpu

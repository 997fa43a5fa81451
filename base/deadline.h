#pragma once
/// Every wait has a deadline (law 6).

#include <algorithm>
#include <chrono>

namespace aha {

/// A point on the monotonic clock by which something must have happened.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;
  static Deadline After(Clock::duration span) { return Deadline(Clock::now() + span); }
  [[nodiscard]] bool passed() const { return Clock::now() >= at_; }
  /// Time left, never negative.
  [[nodiscard]] std::chrono::milliseconds left() const {
    return std::max(std::chrono::milliseconds(0),
                    std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now()));
  }
  [[nodiscard]] Clock::time_point at() const { return at_; }

 private:
  explicit Deadline(Clock::time_point at) : at_(at) {}
  Clock::time_point at_;
};

}  // namespace aha

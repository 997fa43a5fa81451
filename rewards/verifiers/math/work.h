#pragma once
/// What an answer may cost: counted operations, not time, so that a verdict is the same on every
/// machine.

#include <cstdint>

namespace aha::rewards::math {

/// One unit is about ten nanoseconds' worth of arithmetic.
class Work {
 public:
  static constexpr std::int64_t kLimit = 1500000;
  explicit Work(std::int64_t limit = kLimit) : left_(limit) {}

  /// False once the budget is used up.
  bool Spend(std::int64_t units) {
    left_ -= units;
    return left_ >= 0;
  }
  [[nodiscard]] std::int64_t left() const { return left_; }

 private:
  std::int64_t left_;
};

/// How an evaluation went.
enum class Status : std::uint8_t {
  kDone,
  kNotExact,   ///< no value of this kind: an irrational number for exact arithmetic
  kUndefined,  ///< 1/0, log 0, 0/0
  kTooLarge,   ///< a value or the budget grew too large
};

}  // namespace aha::rewards::math

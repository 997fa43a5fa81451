#pragma once
/// Values of any expression as complex balls: a midpoint and a radius that surely holds the true
/// value.

#include <acb.h>

#include "rewards/verifiers/math/point.h"
#include "rewards/verifiers/math/tree.h"
#include "rewards/verifiers/math/work.h"

namespace aha::rewards::math {

/// Arb's acb with C++ manners.
class Ball {
 public:
  Ball() { acb_init(value_); }
  Ball(const Ball& other) : Ball() { acb_set(value_, other.value_); }
  Ball(Ball&& other) noexcept : Ball() { acb_swap(value_, other.value_); }
  Ball& operator=(const Ball& other) {
    acb_set(value_, other.value_);
    return *this;
  }
  Ball& operator=(Ball&& other) noexcept {
    acb_swap(value_, other.value_);
    return *this;
  }
  ~Ball() { acb_clear(value_); }
  acb_ptr get() { return value_; }
  [[nodiscard]] acb_srcptr get() const { return value_; }

 private:
  acb_t value_;
};

/// What an evaluation saw on its way.
struct BallNotes {
  double largest = 0;       ///< the greatest |log2 |v|| of all values: what precision must cover
  bool left_reals = false;  ///< a root or logarithm of a negative number
  bool imaginary = false;   ///< i is written in it
};

/// kUndefined where there is no finite value (or none can be told at this precision). Magnitudes
/// are estimated before powers and exponentials are taken. Pure, thread-safe.
Status EvaluateBall(const Node& node,
                    const Point& point,
                    long precision,
                    Work* work,
                    BallNotes* notes,
                    Ball* out);

}  // namespace aha::rewards::math

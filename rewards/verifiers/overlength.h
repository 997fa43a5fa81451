#pragma once
/// DAPO's soft punishment of overlong completions (arXiv:2503.14476, 3.4, equation 13).

#include <cstdint>

#include "rewards/reward.h"

namespace aha::rewards {

/// With L = tokens of the completion: 0 when L <= max_length - cache; then
/// ((max_length - cache) - L) / cache, down to -1 at max_length; -1 beyond. To be added to a reward
/// of correctness. An item that does not say its length (no tokens, but a completion) is a
/// BAD_REFERENCE failure. Pure.
class OverlengthReward : public Reward {
 public:
  /// 0 <= cache <= max_length.
  OverlengthReward(std::int64_t max_length, std::int64_t cache)
      : max_length_(max_length), cache_(cache) {}
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;

 private:
  std::int64_t max_length_;
  std::int64_t cache_;
};

}  // namespace aha::rewards

#pragma once
/// The accuracy reward: is the completion's answer the reference?

#include "rewards/reward.h"
#include "rewards/verifiers/math/judge.h"

namespace aha::rewards {

/// 1 or 0, and why, as math/judge.h says. A reference at fault is a BAD_REFERENCE failure. Pure and
/// thread-safe without locks.
class MathReward : public Reward {
 public:
  /// `decimals`: as math/compare.h says; -1: a decimal never equals an exact reference that it only
  /// comes near.
  explicit MathReward(int decimals = math::kDecimals) : decimals_(decimals) {}
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;
  /// found, extracted, reference_parsed, answer_parsed, equal, why, rule, reason; or fault.
  [[nodiscard]] std::vector<Finding> Explain(const ScoreInput& input) const override;

 private:
  int decimals_;
};

}  // namespace aha::rewards

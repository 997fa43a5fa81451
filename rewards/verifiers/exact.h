#pragma once
/// The answer's text, compared as text.

#include "rewards/reward.h"

namespace aha::rewards {

/// 1 when the answer equals the reference after NFKC, with blanks folded and trimmed and Latin case
/// folded; else 0. The answer is the last <answer>, else the last \boxed{}, else what follows the
/// last "answer is", else the whole completion. An empty or non-UTF-8 reference is a BAD_REFERENCE
/// failure. Pure; linear.
class ExactReward : public Reward {
 public:
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;
  /// reference, answer (both as they are compared), equal.
  [[nodiscard]] std::vector<Finding> Explain(const ScoreInput& input) const override;
};

}  // namespace aha::rewards

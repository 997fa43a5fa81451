#pragma once
/// The accuracy reward: is the completion's answer the reference?

#include "rewards/reward.h"

namespace aha::rewards {

/// 1 or 0. The answer is the last <answer>, else the last \boxed{} (boxes side by side are one),
/// else what follows the last "answer is", else the whole completion if that is the reference, else
/// its last number. It is read as math/answer.h says and compared as math/compare.h says. Only
/// literals are numbers: an unevaluated sum repeats the question and is not its answer.
///
/// Inside a sentence ("There are 42 apples.") the one number counts, if there is just one: naming
/// several does not help. Reason: "" for 1; "no answer", "empty answer", "answer too long" or
/// "different: ..." for 0. A reference that is empty, not UTF-8, over 64 KiB, has unpaired braces
/// or divides by zero is a BAD_REFERENCE failure, whatever the completion. Pure; linear.
class MathReward : public Reward {
 public:
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;
};

}  // namespace aha::rewards

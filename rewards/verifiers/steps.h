#pragma once
/// A process reward: worked arithmetic, equation by equation.

#include "rewards/reward.h"

namespace aha::rewards {

/// The score is the mean over the completion's equations (math/steps.h), each `right` where it
/// holds and `wrong` where it does not; `wrong` with the reason "no_steps" where there is none.
/// Each equation is also a step of the outcome. One that is written again is a step once: saying
/// the same thing twice pays once. Pure; linear but for long numbers, whose length is bounded.
class StepsReward : public Reward {
 public:
  StepsReward(double right, double wrong) : right_(right), wrong_(wrong) {}
  [[nodiscard]] Outcome Score(const ScoreInput& input) const override;

 private:
  double right_, wrong_;
};

}  // namespace aha::rewards

#include "rewards/verifiers/steps.h"

#include <set>
#include <string>

#include "rewards/verifiers/math/steps.h"

namespace aha::rewards {

Outcome StepsReward::Score(const ScoreInput& input) const {
  Outcome outcome = Scored(wrong_, "no_steps");
  std::set<std::string> seen;
  int holding = 0;
  for (const math::WorkedStep& step : math::FindSteps(input.completion)) {
    if (!seen.insert(step.canonical).second) continue;
    holding += step.holds ? 1 : 0;
    proto::StepScore& score = *outcome.add_steps();
    score.set_end(step.end);
    score.set_score(step.holds ? right_ : wrong_);
  }
  const int all = outcome.steps_size();
  if (all == 0) return outcome;
  outcome.set_score((right_ * holding + wrong_ * (all - holding)) / all);
  outcome.set_reason(std::to_string(holding) + " of " + std::to_string(all) + " hold");
  return outcome;
}

}  // namespace aha::rewards

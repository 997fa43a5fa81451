#include "pipelines/stages/step_rewards.h"

#include <algorithm>
#include <map>

#include "pipelines/stages/rl_objective.h"

namespace aha::pipelines {
namespace {

std::vector<grpo::StepReward> StepsOf(const proto::Rl& rl, const proto::SampleRecord& sample) {
  if (!sample.has_total()) return {};
  const std::int64_t length = sample.completion().ids_size();
  std::map<std::int64_t, double> at;
  for (int c = 0; c < std::min(sample.outcome_size(), rl.reward_size()); ++c) {
    const double weight = rl.reward(c).weight();
    const proto::Outcome& outcome = sample.outcome(c);
    if (weight == 0) continue;
    if (outcome.steps_size() == 0) at[length] += weight * outcome.score();
    for (const proto::StepScore& step : outcome.steps())
      at[static_cast<std::int64_t>(step.token_end())] += weight * step.score();
  }
  std::vector<grpo::StepReward> steps;
  for (const auto& [end, reward] : at)
    steps.push_back({end, reward});
  return steps;
}

}  // namespace

std::vector<std::vector<grpo::StepReward>> StepRewardsOf(const proto::Rl& rl,
                                                         const proto::GroupRecord& record) {
  std::vector<std::vector<grpo::StepReward>> samples;
  for (const proto::SampleRecord& sample : record.sample())
    samples.push_back(StepsOf(rl, sample));
  return samples;
}

bool HasSignal(const proto::Rl& rl, const proto::GroupRecord& record) {
  return rl.advantage() == "process" ? grpo::HasStepSignal(StepRewardsOf(rl, record))
                                     : grpo::HasSignal(RewardsOfGroup(record));
}

double ShareWithoutSignal(const proto::Rl& rl, const std::vector<ScoredGroup>& groups) {
  const auto even = std::count_if(groups.begin(), groups.end(),
                                  [&](const ScoredGroup& g) { return !HasSignal(rl, g.record); });
  return static_cast<double>(even) / static_cast<double>(std::max<std::size_t>(1, groups.size()));
}

}  // namespace aha::pipelines

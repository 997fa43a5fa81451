#pragma once
/// An RL recipe as grpo takes it, and scored groups as its learner takes them.

#include <functional>
#include <vector>

#include "grpo/advantage.h"
#include "grpo/learner.h"
#include "pipelines/sampling/scored_group.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

/// All of `rl` are resolved.
grpo::LearnerOptions LearnerOptionsOf(const proto::Rl& rl);
grpo::AdvantageRule AdvantageRuleOf(const proto::Rl& rl);
grpo::KlEstimate KlEstimateOf(const proto::Rl& rl);

/// Whether KL is taken off the reward.
bool KlInReward(const proto::Rl& rl);

/// The rewards of a group: unset where a component failed.
grpo::GroupRewards RewardsOfGroup(const proto::GroupRecord& record);

/// KL of each token of each sample, before its weight.
using KlPenaltiesOf =
    std::function<Result<std::vector<std::vector<double>>>(const std::vector<grpo::Sample>&)>;

/// Advantages into the groups' records (the mean of a sample's tokens where they differ), and the
/// learner's samples: those whose reward is known, in groups that group_filter lets through.
/// `penalties` is asked only with KL in the reward.
Result<std::vector<grpo::Sample>> MakeSamples(const proto::Rl& rl,
                                              std::vector<ScoredGroup>& groups,
                                              const KlPenaltiesOf& penalties);

}  // namespace aha::pipelines

#pragma once
/// Process supervision: what a group's samples earned, step by step.

#include <vector>

#include "grpo/advantage.h"
#include "pipelines/sampling/scored_group.h"
#include "proto/recipe.pb.h"

namespace aha::pipelines {

/// The steps of each sample of a group, by the tokens they end at: each component's steps, times
/// its weight, or its score as one step at the end of the completion where it tells none. What ends
/// at one token is added up. None where the sample has no total.
std::vector<std::vector<grpo::StepReward>> StepRewardsOf(const proto::Rl& rl,
                                                         const proto::GroupRecord& record);

/// Whether there is something to learn from a group: its rewards differ, of steps where `rl` goes
/// by them, else of whole samples.
bool HasSignal(const proto::Rl& rl, const proto::GroupRecord& record);

/// Share of groups without.
double ShareWithoutSignal(const proto::Rl& rl, const std::vector<ScoredGroup>& groups);

}  // namespace aha::pipelines

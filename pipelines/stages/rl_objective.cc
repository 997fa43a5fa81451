#include "pipelines/stages/rl_objective.h"

#include <numeric>

#include "pipelines/stages/stage.h"
#include "pipelines/stages/step_rewards.h"

namespace aha::pipelines {
namespace {

grpo::Ratio RatioOf(const std::string& name) {
  if (name == "sequence") return grpo::Ratio::kSequence;
  if (name == "sequence_token") return grpo::Ratio::kSequenceToken;
  return name == "product" ? grpo::Ratio::kProduct : grpo::Ratio::kToken;
}

grpo::Clip ClipOf(const std::string& name) {
  if (name == "weight") return grpo::Clip::kWeight;
  return name == "none" ? grpo::Clip::kNone : grpo::Clip::kTwoSided;
}

grpo::Aggregation AggregationOf(const std::string& name) {
  if (name == "token") return grpo::Aggregation::kToken;
  if (name == "sequence_sum") return grpo::Aggregation::kSequenceSum;
  return name == "constant" ? grpo::Aggregation::kConstant : grpo::Aggregation::kSequence;
}

grpo::OffPolicy OffPolicyOf(const std::string& name) {
  if (name == "truncate") return grpo::OffPolicy::kTruncate;
  return name == "mask" ? grpo::OffPolicy::kMask : grpo::OffPolicy::kNone;
}

grpo::ObjectiveRule RuleOf(const proto::Rl& rl) {
  grpo::ObjectiveRule rule;
  rule.ratio = RatioOf(rl.ratio());
  rule.clip = ClipOf(rl.clip());
  rule.clip_low = rl.clip_low();
  rule.clip_high = rl.clip_high();
  rule.dual_clip = rl.dual_clip();
  rule.aggregation = AggregationOf(rl.aggregation());
  rule.length = rl.aggregation_length() > 0 ? rl.aggregation_length() : rl.max_new_tokens();
  rule.kl = KlInReward(rl) ? 0 : rl.kl();
  rule.kl_estimate = KlEstimateOf(rl);
  rule.kl_times_ratio = rl.kl_times_ratio();
  rule.off_policy = OffPolicyOf(rl.off_policy());
  rule.off_policy_sequence = rl.off_policy_level() == "sequence";
  rule.off_policy_min = rl.off_policy_min();
  rule.off_policy_max = rl.off_policy_max();
  rule.off_policy_drop = rl.off_policy_drop();
  rule.mask_truncated = rl.mask_truncated();
  return rule;
}

// A sample and its place in the groups.
struct Placed {
  grpo::Sample sample;
  std::size_t group = 0;
  int index = 0;
};

std::vector<Placed> PlacedSamples(const proto::Rl& rl, const std::vector<ScoredGroup>& groups) {
  std::vector<Placed> placed;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const proto::GroupRecord& record = groups[g].record;
    if (rl.group_filter() != "none" && !HasSignal(rl, record)) continue;
    for (int i = 0; i < record.sample_size(); ++i) {
      const proto::SampleRecord& s = record.sample(i);
      if (!s.has_total()) continue;
      const proto::Completion& c = s.completion();
      grpo::Sample sample;
      sample.prompt.assign(record.prompt_ids().begin(), record.prompt_ids().end());
      sample.completion.assign(c.ids().begin(), c.ids().end());
      sample.rollout_logprobs.assign(c.logprobs().begin(), c.logprobs().end());
      sample.truncated = c.finish() == proto::FINISH_LENGTH;
      sample.order = placed.size();
      placed.push_back({std::move(sample), g, i});
    }
  }
  return placed;
}

double Sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// REINFORCE++: a token's return, whitened over all tokens of the batch.
void TokenAdvantages(const proto::Rl& rl,
                     const std::vector<std::vector<double>>& penalties,
                     const std::vector<ScoredGroup>& groups,
                     std::vector<Placed>& placed) {
  std::vector<std::vector<double>> returns;
  for (std::size_t n = 0; n < placed.size(); ++n) {
    std::vector<double> weighted = penalties[n];
    for (double& p : weighted)
      p *= rl.kl();
    returns.push_back(grpo::ReturnsToGo(
        groups[placed[n].group].record.sample(placed[n].index).total(), weighted));
  }
  const grpo::AdvantageRule rule = AdvantageRuleOf(rl);
  if (rule.scale != grpo::GroupScale::kNone) grpo::Whiten(returns, rule.scale, rule.epsilon);
  for (std::size_t n = 0; n < placed.size(); ++n) {
    placed[n].sample.advantages.assign(returns[n].begin(), returns[n].end());
    placed[n].sample.advantage = Sum(returns[n]) / static_cast<double>(returns[n].size());
  }
}

// Advantages by the steps' rewards, token by token; a sample's mean goes to its record.
void StepAdvantagesOf(const proto::Rl& rl,
                      const std::vector<ScoredGroup>& groups,
                      std::vector<Placed>& placed) {
  const grpo::AdvantageRule rule = AdvantageRuleOf(rl);
  std::vector<std::vector<double>> of_group;
  for (std::size_t n = 0; n < placed.size(); ++n) {
    const proto::GroupRecord& record = groups[placed[n].group].record;
    if (n == 0 || placed[n].group != placed[n - 1].group) {
      std::vector<std::int64_t> lengths;
      for (const proto::SampleRecord& s : record.sample())
        lengths.push_back(s.completion().ids_size());
      of_group =
          grpo::ProcessAdvantages(StepRewardsOf(rl, record), lengths, rule.scale, rule.epsilon);
    }
    const std::vector<double>& tokens = of_group[static_cast<std::size_t>(placed[n].index)];
    placed[n].sample.advantages.assign(tokens.begin(), tokens.end());
    placed[n].sample.advantage = Sum(tokens) / static_cast<double>(tokens.size());
  }
}

}  // namespace

bool KlInReward(const proto::Rl& rl) {
  return rl.kl() > 0 && rl.kl_in() == "reward";
}

grpo::KlEstimate KlEstimateOf(const proto::Rl& rl) {
  if (rl.kl_estimate() == "k1") return grpo::KlEstimate::kK1;
  return rl.kl_estimate() == "k2" ? grpo::KlEstimate::kK2 : grpo::KlEstimate::kK3;
}

grpo::LearnerOptions LearnerOptionsOf(const proto::Rl& rl) {
  grpo::LearnerOptions options;
  options.rule = RuleOf(rl);
  options.temperature = rl.temperature();
  options.adamw = AdamWOf(rl.optimizer());
  options.bias_rate = rl.moe().bias_update();
  options.balance_loss = rl.moe().balance_loss();
  options.mtp_loss = rl.mtp_loss();
  options.mtp_to_trunk = rl.mtp_to_trunk();
  options.updates = rl.updates_per_step();
  options.micro_batch_tokens = rl.micro_batch_tokens();
  return options;
}

grpo::AdvantageRule AdvantageRuleOf(const proto::Rl& rl) {
  grpo::AdvantageRule rule;
  if (rl.advantage() == "leave_one_out") rule.baseline = grpo::Baseline::kLeaveOneOut;
  if (rl.advantage() == "batch") rule.baseline = grpo::Baseline::kNone;
  rule.over_batch = rl.advantage() == "batch" || rl.advantage() == "group_batch";
  if (rl.advantage_std() == "population") rule.scale = grpo::GroupScale::kPopulation;
  if (rl.advantage_std() == "none") rule.scale = grpo::GroupScale::kNone;
  rule.epsilon = rl.advantage_epsilon();
  return rule;
}

grpo::GroupRewards RewardsOfGroup(const proto::GroupRecord& record) {
  grpo::GroupRewards rewards;
  for (const proto::SampleRecord& s : record.sample()) {
    rewards.push_back(s.has_total() ? std::optional(s.total()) : std::nullopt);
  }
  return rewards;
}

Result<std::vector<grpo::Sample>> MakeSamples(const proto::Rl& rl,
                                              std::vector<ScoredGroup>& groups,
                                              const KlPenaltiesOf& penalties_of) {
  std::vector<Placed> placed = PlacedSamples(rl, groups);
  std::vector<grpo::GroupRewards> rewards;
  for (const ScoredGroup& group : groups)
    rewards.push_back(RewardsOfGroup(group.record));
  std::vector<std::vector<double>> penalties;
  if (KlInReward(rl)) {
    std::vector<grpo::Sample> samples;
    for (const Placed& p : placed)
      samples.push_back(p.sample);
    AHA_ASSIGN(penalties, penalties_of(samples));
  }
  if (rl.advantage() == "process") {
    StepAdvantagesOf(rl, groups, placed);
  } else if (!penalties.empty() && rl.advantage() == "batch") {
    TokenAdvantages(rl, penalties, groups, placed);
  } else {
    for (std::size_t n = 0; n < penalties.size(); ++n) {
      auto& reward = rewards[placed[n].group][static_cast<std::size_t>(placed[n].index)];
      reward = *reward - rl.kl() * Sum(penalties[n]);
    }
    const auto advantages = grpo::Advantages(rewards, AdvantageRuleOf(rl));
    for (Placed& p : placed)
      p.sample.advantage = advantages[p.group][static_cast<std::size_t>(p.index)];
  }
  std::vector<grpo::Sample> samples;
  for (ScoredGroup& group : groups) {
    for (proto::SampleRecord& s : *group.record.mutable_sample()) {
      if (s.has_total()) s.set_advantage(0);
    }
  }
  for (Placed& p : placed) {
    proto::SampleRecord& record = *groups[p.group].record.mutable_sample(p.index);
    record.set_advantage(p.sample.advantage);
    record.mutable_token_advantage()->Assign(p.sample.advantages.begin(),
                                             p.sample.advantages.end());
    samples.push_back(std::move(p.sample));
  }
  return samples;
}

}  // namespace aha::pipelines

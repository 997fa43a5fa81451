#include "grpo/advantage.h"

#include <algorithm>
#include <cmath>

namespace aha::grpo {
namespace {

std::vector<double> Valid(std::span<const std::optional<double>> rewards) {
  std::vector<double> valid;
  for (const auto& r : rewards) {
    if (r) valid.push_back(*r);
  }
  return valid;
}

// Their float mean may differ from them in the last bit, so ask before subtracting.
bool AllEqual(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == values.front(); });
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values)
    sum += v;
  return sum / static_cast<double>(values.size());
}

double Divisor(const std::vector<double>& values, double mean, GroupScale scale, double epsilon) {
  const auto n = static_cast<double>(values.size());
  double squares = 0;
  for (const double v : values)
    squares += (v - mean) * (v - mean);
  if (scale == GroupScale::kSample) return std::sqrt(squares / (n - 1)) + epsilon;
  if (scale == GroupScale::kPopulation) return std::sqrt(squares / n) + epsilon;
  return 1;
}

std::vector<double> LeaveOneOut(std::span<const std::optional<double>> rewards) {
  std::vector<double> advantages = GroupAdvantages(rewards, GroupScale::kNone);
  const auto n = static_cast<double>(Valid(rewards).size());
  for (double& a : advantages) {
    if (a != 0) a *= n / (n - 1);
  }
  return advantages;
}

// Whitens the values whose rewards are set.
void WhitenBatch(std::span<const GroupRewards> groups,
                 const AdvantageRule& rule,
                 std::vector<std::vector<double>>& rows) {
  std::vector<std::vector<double>> known(1);
  for (std::size_t g = 0; g < rows.size(); ++g) {
    for (std::size_t i = 0; i < rows[g].size(); ++i) {
      if (groups[g][i]) known.front().push_back(rows[g][i]);
    }
  }
  Whiten(known, rule.scale, rule.epsilon);
  std::size_t at = 0;
  for (std::size_t g = 0; g < rows.size(); ++g) {
    for (std::size_t i = 0; i < rows[g].size(); ++i) {
      if (groups[g][i]) rows[g][i] = known.front()[at++];
    }
  }
}

}  // namespace

bool HasSignal(std::span<const std::optional<double>> rewards) {
  return !AllEqual(Valid(rewards));
}

std::vector<double> GroupAdvantages(std::span<const std::optional<double>> rewards,
                                    GroupScale scale,
                                    double epsilon) {
  std::vector<double> advantages(rewards.size(), 0.0);
  const std::vector<double> valid = Valid(rewards);
  if (valid.size() < 2 || AllEqual(valid)) return advantages;
  const double mean = Mean(valid);
  const double divisor = Divisor(valid, mean, scale, epsilon);
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    if (rewards[i]) advantages[i] = (*rewards[i] - mean) / divisor;
  }
  return advantages;
}

std::vector<std::vector<double>> Advantages(std::span<const GroupRewards> groups,
                                            const AdvantageRule& rule) {
  std::vector<std::vector<double>> rows;
  for (const GroupRewards& group : groups) {
    std::vector<double>& row = rows.emplace_back(group.size(), 0.0);
    if (rule.baseline == Baseline::kLeaveOneOut) {
      row = LeaveOneOut(group);
    } else if (rule.baseline == Baseline::kGroup) {
      row = GroupAdvantages(group, rule.over_batch ? GroupScale::kNone : rule.scale, rule.epsilon);
    } else {
      for (std::size_t i = 0; i < group.size(); ++i)
        row[i] = group[i].value_or(0);
    }
  }
  if (rule.over_batch && rule.scale != GroupScale::kNone) WhitenBatch(groups, rule, rows);
  return rows;
}

void Whiten(std::vector<std::vector<double>>& rows, GroupScale scale, double epsilon) {
  std::vector<double> all;
  for (const auto& row : rows)
    all.insert(all.end(), row.begin(), row.end());
  if (all.empty()) return;
  const bool equal = AllEqual(all);
  const double mean = Mean(all);
  const double divisor = equal ? 1 : Divisor(all, mean, scale, epsilon);
  for (auto& row : rows) {
    for (double& v : row)
      v = equal ? 0 : (v - mean) / divisor;
  }
}

std::vector<double> ReturnsToGo(double reward, std::span<const double> penalty_T) {
  std::vector<double> returns(penalty_T.size());
  double after = reward;
  for (std::size_t t = penalty_T.size(); t-- > 0;)
    returns[t] = after -= penalty_T[t];
  return returns;
}

std::vector<std::vector<double>> StepAdvantages(const std::vector<std::vector<double>>& steps,
                                                GroupScale scale,
                                                double epsilon) {
  std::vector<std::vector<double>> out = steps;
  Whiten(out, scale, epsilon);
  for (auto& row : out) {
    for (std::size_t s = row.size(); s-- > 1;)
      row[s - 1] += row[s];
  }
  return out;
}

std::vector<double> OverTokens(std::span<const double> advantage_S,
                               std::span<const std::int64_t> end_S,
                               std::int64_t length) {
  std::vector<double> tokens(static_cast<std::size_t>(length), 0.0);
  std::size_t step = 0;
  for (std::int64_t t = 0; t < length; ++t) {
    while (step < end_S.size() && end_S[step] <= t)
      ++step;
    if (step == end_S.size()) break;
    tokens[static_cast<std::size_t>(t)] = advantage_S[step];
  }
  return tokens;
}

bool HasStepSignal(const std::vector<std::vector<StepReward>>& samples) {
  std::vector<double> all;
  std::size_t known = 0;
  for (const auto& steps : samples) {
    known += steps.empty() ? 0 : 1;
    for (const StepReward& step : steps)
      all.push_back(step.reward);
  }
  return known > 1 && !AllEqual(all);
}

std::vector<std::vector<double>> ProcessAdvantages(
    const std::vector<std::vector<StepReward>>& samples,
    std::span<const std::int64_t> lengths_S,
    GroupScale scale,
    double epsilon) {
  std::vector<std::vector<double>> rewards, tokens;
  const bool signal = HasStepSignal(samples);
  for (const auto& steps : samples) {
    std::vector<double>& row = rewards.emplace_back();
    for (const StepReward& step : steps)
      row.push_back(signal ? step.reward : 0);
  }
  const auto advantages = StepAdvantages(rewards, scale, epsilon);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    std::vector<std::int64_t> ends;
    for (const StepReward& step : samples[i])
      ends.push_back(step.end);
    tokens.push_back(OverTokens(advantages[i], ends, lengths_S[i]));
  }
  return tokens;
}

GaeResult Gae(std::span<const double> reward_T,
              std::span<const double> value_T,
              double gamma,
              double lambda) {
  GaeResult out{std::vector<double>(reward_T.size()), std::vector<double>(reward_T.size())};
  double next_value = 0, next_advantage = 0;
  for (std::size_t t = reward_T.size(); t-- > 0;) {
    const double delta = reward_T[t] + gamma * next_value - value_T[t];
    next_advantage = delta + gamma * lambda * next_advantage;
    next_value = value_T[t];
    out.advantage_T[t] = next_advantage;
    out.return_T[t] = next_advantage + next_value;
  }
  return out;
}

}  // namespace aha::grpo

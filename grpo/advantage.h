#pragma once
/// Advantages: group-relative (DeepSeekMath, arXiv:2402.03300, section 4.1.2; DeepSeek-R1,
/// arXiv:2501.12948, eq. 3), leave-one-out (RLOO, arXiv:2402.14740), whitened over the batch
/// (REINFORCE++, arXiv:2501.03262), of steps (DeepSeekMath, section 4.1.3).

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace aha::grpo {

/// What centred rewards are divided by. The papers do not say which standard deviation is meant.
enum class GroupScale : std::uint8_t {
  kSample,      ///< std with n-1, as TRL and verl take it
  kPopulation,  ///< std with n
  kNone,        ///< 1: Dr. GRPO
};

/// What is subtracted from a reward.
enum class Baseline : std::uint8_t {
  kGroup,        ///< the mean of its group
  kLeaveOneOut,  ///< the mean of the others in its group
  kNone,         ///< nothing
};

struct AdvantageRule {
  Baseline baseline = Baseline::kGroup;
  GroupScale scale = GroupScale::kSample;
  bool over_batch =
      false;              ///< scale (unless kNone) and centre over the batch, not within the group
  double epsilon = 1e-6;  ///< added to the standard deviation
};

/// Rewards of one group, one a sample; unset where the verifier failed (law 5).
using GroupRewards = std::vector<std::optional<double>>;

/// A_i = (r_i - mean(r)) / (std(r) + epsilon) over the valid rewards of one group. Computed in
/// float64, and a group whose valid rewards are all equal gets exact zeros.
///
/// @param rewards  one a sample; unset where the verifier failed (law 5): out of mean and
///                 standard deviation, advantage 0.
/// @param epsilon  added to the standard deviation: 0, or 1e-4 as TRL, 1e-6 as verl.
/// @return one a sample, dimensionless. Fewer than two valid rewards: zeros.
std::vector<double> GroupAdvantages(std::span<const std::optional<double>> rewards,
                                    GroupScale scale,
                                    double epsilon = 1e-6);

/// Advantages of a whole batch by `rule`, shaped like `groups`; 0 where the reward is unset. A
/// group with fewer than two valid rewards has no baseline but kNone: zeros.
std::vector<std::vector<double>> Advantages(std::span<const GroupRewards> groups,
                                            const AdvantageRule& rule);

/// (x - mean) / (std + epsilon) over all values of all rows, in place; all equal: exact zeros.
/// kNone only centres.
void Whiten(std::vector<std::vector<double>>& rows, GroupScale scale, double epsilon);

/// What each token earns when every later token's penalty counts against it: reward minus the sum
/// of penalty_T from t on (REINFORCE++, KL in the reward).
std::vector<double> ReturnsToGo(double reward, std::span<const double> penalty_T);

/// Process supervision: the rewards of all steps of all samples of a group normalised together,
/// then for each step the sum of normalised rewards from it on. Shaped like `steps`. Equal rewards:
/// zeros.
std::vector<std::vector<double>> StepAdvantages(const std::vector<std::vector<double>>& steps,
                                                GroupScale scale,
                                                double epsilon);

/// A step's advantage on its tokens. @param end_S where each step ends (one past its last token),
/// rising. Tokens after the last step: 0.
std::vector<double> OverTokens(std::span<const double> advantage_S,
                               std::span<const std::int64_t> end_S,
                               std::int64_t length);

/// What a step of a completion is worth, and where it ends: one past its last token.
struct StepReward {
  std::int64_t end = 0;
  double reward = 0;
};

/// The advantage of each token by process supervision. @param samples steps of each sample of a
/// group, ends rising, none where the sample has no reward. @param lengths_S tokens of each. Fewer
/// than two samples with steps, or rewards that are all equal: zeros.
std::vector<std::vector<double>> ProcessAdvantages(
    const std::vector<std::vector<StepReward>>& samples,
    std::span<const std::int64_t> lengths_S,
    GroupScale scale,
    double epsilon);

/// Whether the rewards of a group's steps differ: the same for process supervision as HasSignal.
bool HasStepSignal(const std::vector<std::vector<StepReward>>& samples);

/// Generalised advantage estimates (arXiv:1506.02438) for a critic's values.
struct GaeResult {
  std::vector<double> advantage_T;
  std::vector<double> return_T;  ///< advantage + value: what the critic learns
};
/// delta_t = r_t + gamma V_{t+1} - V_t; A_t = delta_t + gamma lambda A_{t+1}; the value after the
/// last token is 0. Spans have T elements each.
GaeResult Gae(std::span<const double> reward_T,
              std::span<const double> value_T,
              double gamma,
              double lambda);

/// Whether a group's valid rewards differ: without that there is nothing to learn from it.
bool HasSignal(std::span<const std::optional<double>> rewards);

}  // namespace aha::grpo

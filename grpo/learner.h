#pragma once
/// The GRPO learner: scored groups in, updated weights out.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "grpo/objective.h"
#include "policy/training/update.h"

namespace aha::grpo {

/// One completion as the learner sees it.
struct Sample {
  std::vector<std::int32_t> prompt;
  std::vector<std::int32_t> completion;  ///< with the end-of-sequence token, if it was drawn
  std::vector<float> rollout_logprobs;   ///< one a completion token, as the rollout recorded them
  double advantage = 0;
  std::vector<float> advantages = {};  ///< one a completion token; empty: `advantage` for all
  bool truncated = false;              ///< by the length limit
  std::uint64_t order = 0;             ///< its place in the step, whenever it came
};

struct LearnerOptions {
  ObjectiveRule rule;
  double temperature = 1;
  policy::AdamWOptions adamw;
  double bias_rate = 0.001;
  double balance_loss = 1e-4;
  double mtp_loss = 0;
  bool mtp_to_trunk = false;
  std::int64_t updates = 1;  ///< mini-batches that a step's samples are split into
  std::int64_t micro_batch_tokens = 4096;
  std::size_t most_tape_bytes = policy::Update::kMostTapeBytes;
};

/// Means over the step's tokens, unless said otherwise.
struct LearnReport {
  double loss = 0;
  double entropy = 0;                                 ///< nats
  double kl = 0;                                      ///< k3 to the reference
  double kl_k1 = 0, kl_k2 = 0;                        ///< the other estimates of it
  double clip_fraction = 0;                           ///< of either side, dual clip included
  double clip_low = 0, clip_high = 0, clip_dual = 0;  ///< shares of tokens, by side
  double ratio_mean = 1;
  double ratio_max = 0;              ///< largest pi/pi_old met
  double off_policy_weight = 1;      ///< mean, as applied
  double off_policy_cut = 0;         ///< share of tokens outside the weight's range
  std::int64_t dropped_samples = 0;  ///< by off_policy_drop
  std::int64_t masked_samples = 0;   ///< truncated ones, by mask_truncated
  double rollout_difference = 0;  ///< |log pi(rollout) - log pi(learner)| before the first update
  std::int64_t tokens = 0;
  std::int64_t idle_samples = 0;  ///< without any gradient: advantage 0 and no KL, or masked
  std::string not_finite;  ///< what was NaN or infinite; the mini-batch then changed no weight and
                           ///< was the last
  policy::UpdateReport update;  ///< of the last mini-batch
};

class Learner {
 public:
  /// Both are borrowed; `weights`, which must be for training, are trained in place.
  Learner(policy::Weights& weights, const policy::cpu::Cpu& cpu, const LearnerOptions& options);

  /// One GRPO step: `samples` whose reward failed are left out by the caller. Mini-batches are cut
  /// in the order of Sample::order (as given where that is equal), so that it does not matter in
  /// which order completions came back. Where the policy can, samples of one prompt compute it once
  /// (all but its last token). Old log-probabilities are the rollout's: it ran the same
  /// kernels on the same weights, so before the first update every ratio is 1. Where one is not,
  /// the step fails and names the token (law 1). With an off-policy weight the learner computes
  /// them afresh, and the rollout's are the sampler's. `reference` is needed when options.rule.kl >
  /// 0.
  Result<LearnReport> Step(const std::vector<Sample>& samples,
                           const policy::Weights* reference,
                           double learning_rate);

  /// `estimate` of KL(policy || reference) at each token of each sample, by the recorded
  /// log-probabilities: for KL in the reward.
  Result<std::vector<std::vector<double>>> KlPenalties(const std::vector<Sample>& samples,
                                                       const policy::Weights& reference,
                                                       KlEstimate estimate) const;

  policy::AdamW& optimizer() { return update_.optimizer(); }

 private:
  Result<LearnReport> StepInOrder(const std::vector<Sample>& samples,
                                  const policy::Weights* reference,
                                  double learning_rate);
  struct MiniBatch;
  struct Totals;
  Status RunMiniBatch(const std::vector<Sample>& samples,
                      std::size_t begin,
                      std::size_t end,
                      bool on_policy,
                      const std::vector<std::vector<float>>& old,
                      policy::TargetLogprobs* reference,
                      double learning_rate,
                      Totals& totals);
  Status AddMicroBatch(const MiniBatch& batch,
                       const policy::SharedMicroBatch& micro,
                       policy::TargetLogprobs* reference,
                       Totals& totals);
  Result<std::vector<float>> SlopesOf(const MiniBatch& batch,
                                      const std::vector<std::size_t>& members,
                                      std::span<const float> logprob_N,
                                      std::span<const float> entropy_N,
                                      std::span<const float> reference_N,
                                      Totals& totals) const;

  // What the pass has found of samples whose slopes came from the rollout's log-probabilities.
  Status TakeKnown(const MiniBatch& batch,
                   const std::vector<std::size_t>& members,
                   const policy::TargetValues& values,
                   Totals& totals) const;

  [[nodiscard]] std::vector<std::vector<float>> LogprobsBy(
      const policy::Weights& weights,
      const std::vector<Sample>& samples) const;

  policy::Weights& weights_;
  const policy::PolicyConfig& config_;
  LearnerOptions options_;
  policy::Update update_;
};

}  // namespace aha::grpo

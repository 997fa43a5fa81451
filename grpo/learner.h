#pragma once
/// The GRPO learner: scored groups in, updated weights out.

#include <cstdint>
#include <optional>
#include <span>
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
};

/// How token losses become the loss of a batch.
enum class Aggregation : std::uint8_t {
  kSequence,  ///< mean over a sequence's tokens, then over sequences (GRPO)
  kToken,     ///< mean over all tokens (DAPO)
};

struct LearnerOptions {
  ObjectiveRule rule;
  Aggregation aggregation = Aggregation::kSequence;
  double temperature = 1;
  policy::AdamWOptions adamw;
  double bias_rate = 0.001;
  double balance_loss = 1e-4;
  double mtp_loss = 0;
  bool mtp_to_trunk = false;
  std::int64_t updates = 1;  ///< mini-batches that a step's samples are split into
  std::int64_t micro_batch_tokens = 4096;
};

/// Means over the step's tokens, unless said otherwise.
struct LearnReport {
  double loss = 0;
  double entropy = 0;  ///< nats
  double kl = 0;       ///< k3 to the reference
  double clip_fraction = 0;
  double ratio_max = 0;           ///< largest pi/pi_old met
  double rollout_difference = 0;  ///< |log pi(rollout) - log pi(learner)| before the first update
  std::int64_t tokens = 0;
  std::int64_t idle_samples = 0;  ///< without any gradient: advantage 0 and no KL
  policy::UpdateReport update;    ///< of the last mini-batch
};

class Learner {
 public:
  /// Both are borrowed; `weights`, which must be for training, are trained in place.
  Learner(policy::Weights& weights, const policy::cpu::Cpu& cpu, const LearnerOptions& options);

  /// One GRPO step: `samples` whose reward failed are left out by the caller. Mini-batches are cut
  /// in the given order. Old log-probabilities are the rollout's: it ran the same kernels on the
  /// same weights, so before the first update every ratio is 1. Where one is not, the step fails
  /// and names the token (law 1). `reference` is needed when options.rule.kl > 0.
  Result<LearnReport> Step(const std::vector<Sample>& samples,
                           const policy::Weights* reference,
                           double learning_rate);

  policy::AdamW& optimizer() { return update_.optimizer(); }

 private:
  struct MiniBatch;
  Status RunMiniBatch(const std::vector<Sample>& samples,
                      std::size_t begin,
                      std::size_t end,
                      bool on_policy,
                      policy::TargetLogprobs* reference,
                      double learning_rate,
                      LearnReport& report);
  Status AddMicroBatch(const MiniBatch& batch,
                       const std::vector<std::size_t>& members,
                       policy::TargetLogprobs* reference,
                       LearnReport& report);
  Result<std::vector<float>> SlopesOf(const MiniBatch& batch,
                                      const std::vector<std::size_t>& members,
                                      std::span<const float> logprob_N,
                                      std::span<const float> entropy_N,
                                      std::span<const float> reference_N,
                                      LearnReport& report) const;

  const policy::PolicyConfig& config_;
  LearnerOptions options_;
  policy::Update update_;
};

}  // namespace aha::grpo

#pragma once
/// Pre-training and SFT: next-token loss on packed examples, the prompt masked out, no attention
/// across examples (they stand side by side in a ragged batch, without padding tokens).

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "policy/training/update.h"

namespace aha::sft {

/// Tokens of which those from `loss_from` on are trained on; the ones before are the prompt.
struct Example {
  std::vector<std::int32_t> ids;
  std::int64_t loss_from = 1;
};

struct TrainerOptions {
  policy::AdamWOptions adamw;
  double bias_rate = 0.001;    ///< of the gates' selection bias
  double balance_loss = 1e-4;  ///< alpha of the sequence-wise balance loss
  double mtp_loss = 0;         ///< lambda of the multi-token-prediction loss
  std::int64_t micro_batch_tokens = 4096;
};

struct TrainReport {
  double loss = 0;      ///< mean -log P of the target tokens
  double mtp_loss = 0;  ///< the same of the MTP module, two tokens ahead
  std::int64_t tokens = 0;
  policy::UpdateReport update;
};

class Trainer {
 public:
  /// Both are borrowed; `weights`, which must be for training, are trained in place.
  Trainer(policy::Weights& weights, const policy::cpu::Cpu& cpu, const TrainerOptions& options);

  /// One update on one batch. The loss is the mean over the batch's target tokens, whatever the
  /// micro-batches. Errors: an example longer than the model, ids outside its vocabulary, a batch
  /// with nothing to predict, a gradient that is not finite.
  Result<TrainReport> Step(const std::vector<Example>& batch, double learning_rate);

  policy::AdamW& optimizer() { return update_.optimizer(); }

 private:
  const policy::PolicyConfig& config_;
  TrainerOptions options_;
  policy::Update update_;
};

/// Mean -log P of target tokens, without gradients.
Result<double> EvaluateLoss(const policy::Weights& weights,
                            const policy::cpu::Cpu& cpu,
                            const std::vector<Example>& examples,
                            std::int64_t micro_batch_tokens);

}  // namespace aha::sft

#pragma once
/// What pre-training, SFT and RL share: micro-batches add gradients, one step applies them. They
/// differ in the loss alone.
///
/// Shapes: T tokens of a ragged batch, N target tokens among them.

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "policy/model/policy.h"
#include "policy/training/optimizer.h"

namespace aha::policy {

/// Tokens that a loss is taken on, and the rows whose states predict them.
struct Targets {
  at::Tensor row_N;                   ///< int64: the row before the token
  at::Tensor token_N;                 ///< int64
  std::vector<std::size_t> sequence_N;  ///< which sequence of the batch it belongs to
};

/// Every token of a sequence from `first_S` on (at least 1: the first token is predicted by nothing).
Targets TargetsFrom(const std::vector<std::vector<std::int32_t>>& sequences, const std::vector<std::int64_t>& first_S);

/// Sum of -log P of tokens two ahead from the MTP module, over targets at or after `first_S`, and
/// how many they are (V3, eq. 24). `to_trunk` false keeps every gradient inside the module.
struct MtpLoss {
  at::Tensor sum;  ///< undefined when there is no such token
  std::int64_t tokens = 0;
};
MtpLoss MtpLossOf(const Policy& policy, const RaggedBatch& batch, const at::Tensor& hidden_TH,
                  const std::vector<std::int64_t>& first_S, bool to_trunk, ForwardTrace* trace);
/// How many tokens MtpLossOf would count.
std::int64_t CountMtpTargets(std::int64_t length, std::int64_t first);

struct UpdateReport {
  double gradient_norm = 0;   ///< before clipping
  double max_violation = 0;   ///< of expert load
};

/// The loss of one micro-batch and what its forward passes left.
struct MicroLoss {
  at::Tensor loss;
  ForwardTrace trace;
};

/// One policy being trained: its optimizer, and the update under way.
///
/// Micro-batches are dealt to a fixed number of shards; a shard adds up its own in order, and the
/// shards are added in order. Kernels run on one thread each, so the sums have the same bits however
/// many threads work on the shards.
class Update {
 public:
  Update(Policy& policy, const AdamWOptions& options, double bias_rate, int threads);

  /// Computes every micro-batch's loss by `loss_of(policy, micro_batch)`, which gets a policy to run
  /// through and may be called from several threads at once, and adds up gradients and load.
  Status Accumulate(std::size_t micro_batches, const std::function<MicroLoss(const Policy&, std::size_t)>& loss_of);

  /// Clip, step, bias update, clear. A gradient that is not finite is an error that names the
  /// first tensor it was found in; weights are untouched then.
  Result<UpdateReport> Finish(double learning_rate);

  AdamW& optimizer() { return optimizer_; }
  [[nodiscard]] int threads() const { return threads_; }

 private:
  static constexpr std::size_t kShards = 4;
  struct Shard {
    Policy policy;
    GradientSum gradient;
    std::vector<at::Tensor> load;
  };
  Policy& policy_;
  AdamW optimizer_;
  std::vector<Shard> shards_;
  double bias_rate_;
  int threads_;
};

}  // namespace aha::policy
